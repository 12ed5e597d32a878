// Package journal remembers in Redis, for every job in work, who works on it and
// what is settled, so that a job delivered twice is answered once and paid once;
// and for a day after, that the job is done. What comes in are claims, settled
// results and the make-up of parts; what goes out are the same, to whoever claims
// the job next. It starts no goroutine: every call is one round trip or a few,
// in its caller's goroutine, and nobody has to stop it.
//
// # What lies in Redis
//
// Jobs that are claimed together lie together in a page, and they are written and
// finished together, so a job of one number costs a few microseconds and not three
// scripts of its own. A page is one string: a head, the owners, a table of slots
// (one a job), and a log that is only appended to (see page.go and log.go). Where
// a job's slot is, its identity tells: a field of 12 bytes in one of two hashes,
// the current and the previous one. They change places once a day, so an identity
// is found for one to two days and no key needs an expiry of its own.
//
// # Who may write
//
// A claim writes a fresh owner token into the page, and into the slots it takes.
// Every later write compares it (in Lua, with the write): who is refused has lost
// the job to somebody else and drops it. A page that has been lost is told from one
// that has been taken over: its holder, who knows everything, puts it back with
// Restore. The scripts also compare the epoch of the data (internal/redisdb): after
// a restart or a failover of Redis what is there may be stale, so it counts as lost.
package journal
