"""Documents that come by themselves: events of buckets, files of passages, topics (PRD 7.1)."""
