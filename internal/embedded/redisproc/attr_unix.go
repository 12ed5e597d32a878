//go:build unix && !linux

package redisproc

import "syscall"

// processAttributes: a process group of its own, so that Ctrl-C reaches the
// worker alone. There is no parent-death signal here; an orphan is evicted at the
// next start.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
