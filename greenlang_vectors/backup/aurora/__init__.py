"""Backups that Aurora makes: cluster snapshots, copies in another region, restores, failover.

What AWS would refuse only after minutes, or not at all, is refused here before the call.
"""
