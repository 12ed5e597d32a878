package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/lookupq/lookupq/internal/worker"
)

type checkCmd struct {
	Config string `help:"Configuration file; without it the defaults are checked." placeholder:"worker.yaml" env:"LOOKUPQ_CONFIG"`
	JSON   bool   `name:"json" help:"Print one JSON object in place of the table."`
}

// Run checks the configuration and everything it names, and prints what it found.
// A fault is an error.
func (c *checkCmd) Run(ctx context.Context, e env) error {
	types := providerTypes()
	var found []worker.Finding
	cfg, err := worker.LoadConfig(c.Config, e.getenv, types)
	if err != nil {
		found = worker.LoadFindings(err)
	} else {
		found = worker.Examine(ctx, cfg, types)
	}
	worst, n := worker.Worst(found)
	text, err := c.render(found, worst != worker.LevelFault)
	if err != nil {
		return err
	}
	if _, err := e.stdout.Write(text); err != nil {
		return fmt.Errorf("print what was found: %w", err)
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("stopped before everything was checked: %w", context.Cause(ctx))
	case worst == worker.LevelFault && n == 1:
		return errors.New("1 fault")
	case worst == worker.LevelFault:
		return fmt.Errorf("%d faults", n)
	}
	return nil
}

// render is what is printed.
func (c *checkCmd) render(found []worker.Finding, ok bool) ([]byte, error) {
	if c.JSON {
		text, err := json.MarshalIndent(struct {
			OK     bool             `json:"ok"`
			Checks []worker.Finding `json:"checks"`
		}{ok, found}, "", "  ")
		return append(text, '\n'), err
	}
	var out bytes.Buffer
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	say(table, "WHAT\tSTATUS\tDETAIL\tREMEDY\n")
	for _, f := range found {
		status := string(f.Status)
		if f.Status == worker.LevelFault {
			status = strings.ToUpper(status)
		}
		say(table, "%s\t%s\t%s\t%s\n", f.What, status, f.Detail, f.Remedy)
	}
	if err := table.Flush(); err != nil {
		return nil, err
	}
	var text bytes.Buffer
	for line := range bytes.Lines(out.Bytes()) {
		text.Write(append(bytes.TrimRight(line, " \n"), '\n')) // no padding of empty cells
	}
	return text.Bytes(), nil
}
