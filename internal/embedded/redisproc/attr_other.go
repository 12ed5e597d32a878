//go:build !unix

package redisproc

import "syscall"

// processAttributes: nothing to set on this system.
func processAttributes() *syscall.SysProcAttr { return nil }
