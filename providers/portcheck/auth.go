package portcheck

import (
	"net/url"

	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
	"github.com/lookupq/lookupq/providers/upstream"
	"github.com/lookupq/lookupq/providers/words"
)

// authMode is how the key travels.
type authMode uint8

const (
	authNone authMode = iota
	authHeader
	authBearer
	authAppcode
	authQuery
)

// UnmarshalYAML reads a mode by its name.
func (m *authMode) UnmarshalYAML(node *yaml.Node) error {
	mode, err := words.OneOf(node, "mode", map[string]authMode{
		"none": authNone, "header": authHeader, "bearer": authBearer, "appcode": authAppcode, "query": authQuery,
	})
	*m = mode
	return err
}

// auth is how the key travels, and where.
type auth struct {
	Mode   authMode `yaml:"mode"`
	Header string   `yaml:"header"`
	Prefix string   `yaml:"prefix"`
	Param  string   `yaml:"param"`
}

// UnmarshalYAML is strict.
func (a *auth) UnmarshalYAML(node *yaml.Node) error {
	type plain auth // or Decode would come back here
	return setup.Decode(node, (*plain)(a))
}

func (a *auth) inHeader() bool {
	return a.Mode == authHeader || a.Mode == authBearer || a.Mode == authAppcode
}

// complete fills in what the mode implies, and says what it lacks. base is the
// address that a key would be sent to.
func (a *auth) complete(base string) error {
	switch {
	case a.Prefix != "":
	case a.Mode == authBearer:
		a.Prefix = "Bearer "
	case a.Mode == authAppcode:
		a.Prefix = "APPCODE "
	}
	switch {
	case a.inHeader() && !token(a.Header):
		return setup.FieldError{Path: "header", Problem: "is no name of a header"}
	case a.Mode != authQuery && a.Param != "":
		return setup.FieldError{Path: "param", Problem: "is for mode query only; remove it"}
	case a.Mode == authQuery && a.Param == "":
		return setup.FieldError{Path: "param", Problem: "is missing; name the key's parameter. The upstream's access log will hold the key: use a mode that puts it into a header, if there is one"}
	case a.Mode == authQuery:
		if u, err := url.Parse(base); err == nil && u.Scheme == "http" && !loopback(u) {
			return setup.FieldError{Path: "mode", Problem: "query would send the key readable for everybody on the way; use an https base_url"}
		}
	}
	return nil
}

// apply puts the key into the request.
func (a *auth) apply(r *upstream.Request, key providers.Secret) {
	switch {
	case a.inHeader():
		r.Header.Set(a.Header, a.Prefix+key.Reveal())
	case a.Mode == authQuery:
		r.Query.Set(a.Param, a.Prefix+key.Reveal())
	}
}
