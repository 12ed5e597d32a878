//go:build linux

package redisproc

import "syscall"

// processAttributes: the child gets a process group of its own, so that Ctrl-C
// reaches the worker alone and Redis is there until the worker has settled; and
// it is killed when the forking thread ends.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
