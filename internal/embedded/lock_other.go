//go:build !unix

package embedded

import "os"

// tryLock is a courtesy elsewhere: there is no advisory lock in the standard library.
func tryLock(*os.File) error { return nil }

// unlock does nothing either.
func unlock(*os.File) error { return nil }
