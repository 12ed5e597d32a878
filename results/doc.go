// Package results is everything that happens to an answer: the result and the
// part as the contract has them, publishing parts, reading them back, dead
// letters and events. What comes in are outcomes of items, one by one; what goes
// out are parts on the results stream.
//
// Start reading at Result, then BuildPart, then Publisher. Sub-packages: journal
// (what a job has settled, in Redis, so that nothing is paid twice) and cache
// (known answers, compact).
//
// Nothing here starts a goroutine or keeps a connection; a Reader and a Stored
// work in their caller's goroutine and end with its context.
package results
