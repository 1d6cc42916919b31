"""Is a deployment as its profile wants it? Looks at a live database and at this machine, and says
what to change; changes nothing itself."""
