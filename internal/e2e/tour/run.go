package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/lookupq/lookupq/internal/e2e/judge"
	"github.com/lookupq/lookupq/providers/simulator"
	"github.com/lookupq/lookupq/results"
)

// errWrong says that the tour has shown something wrong; the table says what.
var errWrong = errors.New("not every result is right")

// Run is the whole tour.
func (c *tourCmd) Run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "lookupq-tour")
	if err != nil {
		return err
	}
	defer func() {
		if c.Keep || err != nil {
			fmt.Fprintln(os.Stderr, "inputs, results and logs are in", dir)
			return
		}
		err = os.RemoveAll(dir)
	}()
	fmt.Fprintln(os.Stderr, "building, then starting the simulator and a worker")
	s, err := setUp(ctx, c, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.takeDown()) }()
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(table, "route\tnumbers\tok\tnot found\tinvalid\tfailed\tright\twrong\tcalls\tseconds\t")
	wrong := 0
	for _, at := range stops() {
		l, err := s.visit(ctx, c, &at)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.1f\t\n", at.route, c.Numbers,
			l.status[results.StatusOK], l.status[results.StatusNotFound], l.status[results.StatusInvalid], l.status[results.StatusFailed],
			l.right, len(l.wrong), l.calls, l.took.Seconds())
		fmt.Fprintf(os.Stderr, "%s: %d of %d right\n", at.route, l.right, c.Numbers)
		for _, w := range l.wrong[:min(len(l.wrong), 5)] {
			fmt.Fprintln(os.Stderr, "  wrong:", w)
		}
		wrong += len(l.wrong)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if wrong > 0 {
		return fmt.Errorf("%w: %d are wrong or missing", errWrong, wrong)
	}
	return nil
}

// log is what came of one route.
type log struct {
	status map[results.Status]int
	right  int
	wrong  []error
	calls  int64
	took   time.Duration
}

// visit looks numbers up on one route and judges every result.
func (s *stage) visit(ctx context.Context, c *tourCmd, at *stop) (*log, error) {
	numbers := at.inputs(c.Numbers)
	input, err := s.write(at.route, numbers)
	if err != nil {
		return nil, err
	}
	before, err := s.calls(ctx, at.ask.Upstream)
	if err != nil {
		return nil, err
	}
	started := time.Now()
	out, err := s.send(ctx, at.route, input)
	if err != nil {
		return nil, err
	}
	l := &log{status: map[results.Status]int{}, took: time.Since(started)}
	after, err := s.calls(ctx, at.ask.Upstream)
	if err != nil {
		return nil, err
	}
	l.calls = after - before
	truths, err := s.truths(ctx, at.ask, numbers)
	if err != nil {
		return nil, err
	}
	return l, l.judge(out, truths)
}

// judge compares every line of a results file; what is missing is wrong, too.
func (l *log) judge(path string, truths map[string]*simulator.Truth) error {
	f, err := os.Open(path) //nolint:gosec // written by send
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var r results.Result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return err
		}
		l.status[r.Status]++
		truth := truths[r.E164]
		delete(truths, r.E164)
		switch {
		case truth == nil:
			l.wrong = append(l.wrong, errors.New("a number that was not asked, or that is answered twice"))
		case truth.Status == simulator.StatusOK && truth.Lookup == nil && r.Status == results.StatusOK:
			l.right++ // offline: nobody else knows better
		default:
			if err := judge.Check(truth, &r); err != nil {
				l.wrong = append(l.wrong, err)
			} else {
				l.right++
			}
		}
	}
	for range truths {
		l.wrong = append(l.wrong, errors.New("a number without a result"))
	}
	return lines.Err()
}

// truths asks the simulator what must come out. Of an offline route it is only
// known that it answers.
func (s *stage) truths(ctx context.Context, ask simulator.Ask, numbers []string) (map[string]*simulator.Truth, error) {
	list := make([]simulator.Truth, len(numbers))
	if ask.Upstream == "" {
		for i, n := range numbers {
			list[i] = simulator.Truth{Number: n, Status: simulator.StatusOK}
		}
	} else {
		query := url.Values{"upstream": {string(ask.Upstream)}, "operation": {ask.Operation}}
		if ask.CheckLevel > 0 {
			query.Set("check_level", strconv.Itoa(ask.CheckLevel))
		}
		body, err := json.Marshal(numbers)
		if err == nil {
			err = s.ask(ctx, http.MethodPost, "/sim/truth?"+query.Encode(), body, &list)
		}
		if err != nil {
			return nil, err
		}
	}
	byNumber := make(map[string]*simulator.Truth, len(list))
	for i := range list {
		byNumber[list[i].Number] = &list[i]
	}
	return byNumber, nil
}

// calls is how many calls an upstream has answered.
func (s *stage) calls(ctx context.Context, u simulator.Upstream) (int64, error) {
	if u == "" {
		return 0, nil
	}
	var sum simulator.Summary
	err := s.ask(ctx, http.MethodGet, "/sim/ledger?upstream="+string(u), nil, &sum)
	return sum.Calls, err
}

// ask talks to the simulator.
func (s *stage) ask(ctx context.Context, method, path string, body []byte, reply any) error {
	req, err := http.NewRequestWithContext(ctx, method, s.sim+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("simulator: %s says %s", path, res.Status)
	}
	return json.NewDecoder(res.Body).Decode(reply)
}
