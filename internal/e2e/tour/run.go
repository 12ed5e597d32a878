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
	_, _ = fmt.Fprintln(table, "route\tnumbers\tok\tnot found\tinvalid\tfailed\tright\tunanswered\twrong\tcalls\tseconds\t")
	wrong := 0
	for _, at := range stops() {
		l, err := s.visit(ctx, c, &at)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.1f\t\n", at.route, c.Numbers,
			l.status[results.StatusOK], l.status[results.StatusNotFound], l.status[results.StatusInvalid], l.status[results.StatusFailed],
			l.right, l.unanswered, len(l.wrong), l.calls, l.took.Seconds())
		fmt.Fprintf(os.Stderr, "%s: %d of %d right\n", at.route, l.right, c.Numbers)
		for _, w := range l.wrong[:min(len(l.wrong), 5)] {
			fmt.Fprintln(os.Stderr, "  wrong:", w)
		}
		wrong += len(l.wrong) + max(0, l.unanswered-c.Unanswered)
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
	// unanswered were asked as often as the upstream may be, in vain.
	unanswered int
	wrong      []error
	calls      int64
	took       time.Duration
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
	first, err := s.truths(ctx, at.ask, numbers)
	if err != nil {
		return nil, err
	}
	second := first
	if at.second.Upstream != "" {
		if second, err = s.truths(ctx, at.second, numbers); err != nil {
			return nil, err
		}
	}
	err = l.judge(out, func(r *results.Result) *simulator.Truth {
		if r.Provider == string(at.second.Upstream) {
			return second[r.E164]
		}
		return first[r.E164]
	}, c.Numbers)
	return l, err
}

// judge compares every line of a results file; what is missing is wrong, too.
func (l *log) judge(path string, truthOf func(*results.Result) *simulator.Truth, numbers int) error {
	f, err := os.Open(path) //nolint:gosec // written by send
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	seen := make(map[string]bool, numbers)
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var r results.Result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return err
		}
		l.status[r.Status]++
		truth := truthOf(&r)
		if truth == nil || seen[r.E164] {
			l.wrong = append(l.wrong, errors.New("a number that was not asked, or that is answered twice"))
			continue
		}
		seen[r.E164] = true
		l.one(truth, &r)
	}
	for range numbers - len(seen) {
		l.wrong = append(l.wrong, errors.New("a number without a result"))
	}
	return lines.Err()
}

// one judges one result. Of offline answers nobody else knows better.
func (l *log) one(truth *simulator.Truth, r *results.Result) {
	offline := truth.Status == simulator.StatusOK && truth.Lookup == nil
	err := judge.Check(truth, r)
	switch {
	case err == nil, offline && r.Status == results.StatusOK:
		l.right++
	case r.Error != nil && r.Error.Code == results.CodeNoAnswer:
		l.unanswered++
	default:
		l.wrong = append(l.wrong, err)
	}
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
