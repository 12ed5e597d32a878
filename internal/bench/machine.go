package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/lookupq/lookupq/internal/procs"
)

// machine describes what the run ran on, in one line.
func machine() string {
	model := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(v)
				break
			}
		}
	}
	kernel := "?"
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel = strings.TrimSpace(string(text))
	}
	return fmt.Sprintf("%s, %d CPUs, Linux %s, %s, load average %s", model, runtime.NumCPU(), kernel, runtime.Version(), loadAverage())
}

// loadAverage is the kernel's, of the last minute, 5 and 15.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "?"
	}
	f := strings.Fields(string(text))
	return strings.Join(f[:min(len(f), 3)], " ")
}

// machineTime is the processor time that the whole machine has spent, and, on a
// virtual one, was denied.
func machineTime() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return parseMachineTime(line)
}

// parseMachineTime reads the first line of /proc/stat.
func parseMachineTime(line string) (time.Duration, error) {
	const idle, iowait, steal = 4, 5, 8 // "cpu" is 0; guest time is within user time
	f := strings.Fields(line)
	if len(f) <= steal || f[0] != "cpu" {
		return 0, errors.New("/proc/stat does not begin with the machine's times")
	}
	var ticks int64
	for i, v := range f[:steal+1] {
		if i == 0 || i == idle || i == iowait {
			continue
		}
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * procs.ClockTick, nil
}
