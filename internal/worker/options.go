package worker

import (
	"encoding/json"
	"fmt"
	"maps"

	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers"
)

// options reads a route's options. They become what a job's JSON would make of
// them, so that providers see one kind of values.
func (r *reader) options(dst *providers.Options, n *yaml.Node, path string) {
	if resolve(n) == nil {
		return
	}
	var values map[string]any
	if err := n.Decode(&values); err != nil {
		r.fault(n.Line, path, "must be a mapping of names and values, like {operation: number_lookup}")
		return
	}
	text, err := json.Marshal(values)
	if err == nil {
		err = json.Unmarshal(text, dst)
	}
	if err != nil {
		r.fault(n.Line, path, "must hold what JSON can say: %v", err)
	}
}

// optionsOf are the route's options and, over them, the job's.
func (r *route) optionsOf(job providers.Options) providers.Options {
	if r == nil || len(r.cfg.Options) == 0 {
		return job
	}
	all := maps.Clone(r.cfg.Options)
	maps.Copy(all, job)
	return all
}

// validate asks every provider of the route whether it takes the options, before
// anything is paid.
func (r *route) validate(opts providers.Options) error {
	if len(opts) == 0 {
		return nil
	}
	for _, at := range r.steps {
		if err := validateOptions(at.name, at.sample().impl, opts); err != nil {
			return err
		}
	}
	return nil
}

func validateOptions(name string, impl providers.Provider, opts providers.Options) error {
	v, ok := impl.(providers.OptionsValidator)
	if !ok {
		return fmt.Errorf("provider %s takes no options", name)
	}
	return v.ValidateOptions(opts)
}

// canonical is the options' JSON with sorted names, "" for none.
func canonical(opts providers.Options) string {
	if len(opts) == 0 {
		return ""
	}
	text, err := json.Marshal(opts) // they came from JSON
	if err != nil {
		return fmt.Sprint(opts)
	}
	return string(text)
}
