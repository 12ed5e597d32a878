// Package cache keeps known answers in Redis, so that a number is not paid for
// twice. What comes in are keys (keyed hashes of numbers, never the numbers) and
// answers; what goes out are the answers of an earlier time. It starts no
// goroutine and holds no state that matters: nobody has to stop it.
//
// Answers lie in one hash for each time to live, not in a key each: a key with
// an expiry costs Redis three times the CPU and twice the memory of a field, and
// a batch is written with one command. See generation for how fields grow old.
package cache
