"""Capacity and cost: what so many embeddings take, on which machines, and what that costs."""
