package simulator

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Profile drives the simulated upstreams. The zero value is upstreams that know
// every key, answer at once and never fail.
type Profile struct {
	// Seed makes the random faults repeatable; what is said of a number depends
	// on the number and the seed alone.
	Seed      uint64    `yaml:"seed"`
	QXT       QXT       `yaml:"qxt"`
	Portcheck Portcheck `yaml:"portcheck"`
	Telnyx    Telnyx    `yaml:"telnyx"`
	NXCloud   NXCloud   `yaml:"nxcloud"`
}

// LoadProfile reads a profile from a YAML file; unknown fields are errors.
func LoadProfile(path string) (Profile, error) {
	body, err := os.ReadFile(path) //nolint:gosec // the user names it
	if err != nil {
		return Profile{}, fmt.Errorf("simulator profile: %w", err)
	}
	p, err := ParseProfile(body)
	if err != nil {
		return Profile{}, fmt.Errorf("simulator profile %s: %w", path, err)
	}
	return p, nil
}

// ParseProfile reads a profile from YAML. An error names every fault.
func ParseProfile(body []byte) (Profile, error) {
	var p Profile
	dec := yaml.NewDecoder(bytes.NewReader(body))
	dec.KnownFields(true)
	if err := dec.Decode(&p); err != nil && !errors.Is(err, io.EOF) {
		return Profile{}, err
	}
	err := p.validate()
	return p, err
}

func (p *Profile) validate() error {
	var faults []error
	for _, u := range Upstreams() {
		faults = append(faults, p.common(u).validate(string(u))...)
	}
	faults = append(faults, p.QXT.validate()...)
	faults = append(faults, p.Portcheck.validate()...)
	faults = append(faults, p.Telnyx.validate()...)
	faults = append(faults, p.NXCloud.validate()...)
	return errors.Join(faults...)
}

// common is the part of u that all upstreams have; nil for an unknown one.
func (p *Profile) common(u Upstream) *Common {
	switch u {
	case UpstreamQXT:
		return &p.QXT.Common
	case UpstreamPortcheck:
		return &p.Portcheck.Common
	case UpstreamTelnyx:
		return &p.Telnyx.Common
	case UpstreamNXCloud:
		return &p.NXCloud.Common
	}
	return nil
}

// share faults a number that is no share.
func share(name string, v float64) error {
	if v >= 0 && v <= 1 {
		return nil
	}
	return fmt.Errorf("%s: %v is not a share: use 0 to 1", name, v)
}

// oneOf faults a word that is not among the allowed ones; the first of them is
// what an absent field says.
func oneOf(name, got string, allowed ...string) error {
	if slices.Contains(allowed, got) {
		return nil
	}
	return fmt.Errorf("%s: %q is unknown: use one of %q", name, got, allowed[1:])
}
