package providertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/lookupq/lookupq/providers"
)

// checkOptions: the options of recorded calls are accepted, in each form in which
// JSON is decoded, and mean the same in each; unknown ones are refused before
// anything is paid, and so are senseless values.
func checkOptions(_ context.Context, x *exam) error {
	v, ok := x.sample.(providers.OptionsValidator)
	for _, c := range x.cases {
		switch {
		case len(c.Options) == 0:
			continue
		case !ok:
			return fmt.Errorf("%s: has options, and the provider takes none", c.file)
		}
		if err := x.optionForms(v, c); err != nil {
			return fmt.Errorf("%s: %w", c.file, err)
		}
	}
	if !ok {
		return nil
	}
	if err := errors.Join(v.ValidateOptions(nil), v.ValidateOptions(providers.Options{})); err != nil {
		return fmt.Errorf("no options are refused: %w", err)
	}
	if v.ValidateOptions(providers.Options{"no_such_option": 1.0}) == nil {
		return errors.New("an unknown option is accepted")
	}
	return nil
}

func (x *exam) optionForms(v providers.OptionsValidator, c *Case) error {
	exact := make(providers.Options, len(c.Options))
	for name, value := range c.Options {
		exact[name] = value
		if f, ok := value.(float64); ok {
			exact[name] = json.Number(strconv.FormatFloat(f, 'f', -1, 64))
		}
	}
	if err := errors.Join(v.ValidateOptions(c.Options), v.ValidateOptions(exact)); err != nil {
		return fmt.Errorf("its options are refused: %w", err)
	}
	a, failureA := x.sample.Partition(c.numbers[0], c.Options)
	b, failureB := x.sample.Partition(c.numbers[0], exact)
	if a != b || failureA != nil || failureB != nil {
		return fmt.Errorf("numbers as json.Number are partition %q, as float64 %q", b, a)
	}
	for name := range c.Options {
		senseless := providers.Options{name: []any{map[string]any{}}}
		if v.ValidateOptions(senseless) == nil {
			return fmt.Errorf("option %s takes a list of objects", name)
		}
	}
	return nil
}
