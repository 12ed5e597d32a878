package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lookupq/lookupq/internal/worker"
	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/catalog"
)

// A worker process is this test binary, told by the environment to be one: real
// enough to be killed, and with the race detector in it.
const (
	envConfig  = "LOOKUPQ_E2E_CONFIG"
	envAckWait = "LOOKUPQ_E2E_ACK_WAIT"
	envID      = "LOOKUPQ_E2E_ID"
	envLease   = "LOOKUPQ_E2E_LEASE"
)

// Faults heal in seconds here, not in half minutes: the same rules, shorter.
const (
	// ackWait is for tests in which a worker dies or stands still; patientAckWait
	// for those in which none does, and a slow machine must not look like it.
	ackWait        = 3 * time.Second
	patientAckWait = 20 * time.Second

	lease    = 1500 * time.Millisecond
	unserved = 3 * time.Second
)

// parallel is how many of the parallel tests run at once, at least.
const parallel = 6

func TestMain(m *testing.M) {
	if config := os.Getenv(envConfig); config != "" {
		if err := workerProcess(config); err != nil {
			fmt.Fprintln(os.Stderr, "worker:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// The parallel tests wait, for timers of workers and upstreams, far more than they
	// compute: as many at once as there are processors would take minutes.
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(max(parallel, runtime.GOMAXPROCS(0)))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// workerProcess is what `worker run` does, with shorter waits.
func workerProcess(config string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM) //nolint:forbidigo // this is a main
	defer stop()
	wait, err := time.ParseDuration(os.Getenv(envAckWait))
	if err != nil {
		return err
	}
	lease, err := time.ParseDuration(os.Getenv(envLease))
	if err != nil {
		return err
	}
	cfg, err := worker.LoadConfig(config, os.LookupEnv, types())
	if err != nil {
		return err
	}
	w, err := worker.New(ctx, worker.Options{
		Config: cfg, ID: os.Getenv(envID), Version: "e2e", AckWait: wait, Lease: lease, Grace: 20 * time.Second,
		Log: zerolog.New(os.Stderr).With().Timestamp().Str("worker", os.Getenv(envID)).Logger(),
	})
	if err != nil {
		return err
	}
	if err := w.Run(ctx); err != nil {
		return err
	}
	return w.Close(context.WithoutCancel(ctx))
}

func types() worker.ProviderTypes {
	out := worker.ProviderTypes{}
	for _, entry := range catalog.All() {
		out[entry.Type] = func(cfg catalog.Config) (providers.Provider, error) { return entry.New(cfg) }
	}
	return out
}

// process is one worker of a test.
type process struct {
	t   *testing.T
	id  string
	cmd *exec.Cmd
	log string
}

// startWorker starts a worker process, with more of an environment, which ends
// with the test at the latest.
func (r *rig) startWorker(env ...string) *process {
	r.t.Helper()
	r.workers++
	p := &process{t: r.t, id: fmt.Sprintf("w%d", r.workers), log: filepath.Join(r.dir, fmt.Sprintf("w%d.log", r.workers))}
	out, err := os.Create(p.log)
	require.NoError(r.t, err)
	p.cmd = exec.Command(os.Args[0]) // this test binary; ended below
	p.cmd.Env = append(os.Environ(), envConfig+"="+r.file, envID+"="+p.id, envAckWait+"="+r.ackWait.String(), envLease+"="+r.lease.String())
	p.cmd.Env = append(p.cmd.Env, env...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	require.NoError(r.t, p.cmd.Start())
	r.t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Signal(syscall.SIGCONT)
			p.kill()
		}
		if r.t.Failed() {
			text, err := os.ReadFile(p.log)
			r.t.Logf("log of %s (%v):\n%s", p.id, err, tail(string(text)))
		}
		require.NoError(r.t, out.Close())
	})
	return p
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(s))
}

// kill ends the process as a power cut would.
func (p *process) kill() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	_ = p.cmd.Wait() // "signal: killed"
}

// terminate asks for a clean stop and waits for it.
func (p *process) terminate() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	require.NoError(p.t, p.cmd.Wait(), "a clean stop exits with 0")
}

func tail(s string) string {
	const most = 6000
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return s
}
