//go:build !unix

package redisproc

import "os"

// ownedByUs: temporary folders are per user on this system.
func ownedByUs(os.FileInfo) bool { return true }
