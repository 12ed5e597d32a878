package portcheck

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"
	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
)

const (
	contentJSON = "application/json"
	contentForm = "application/x-www-form-urlencoded"

	formatNational = "national"
	formatDigits   = "digits"
	formatE164     = "e164"
)

// settings are what the type takes under `settings:`; the package comment
// documents them.
type settings struct {
	Path         string                      `yaml:"path"`
	Method       string                      `yaml:"method"`
	ContentType  string                      `yaml:"content_type"`
	Auth         auth                        `yaml:"auth"`
	ExtraHeaders map[string]providers.Secret `yaml:"extra_headers"`
	ExtraBody    map[string]any              `yaml:"extra_body"`
	RequestField string                      `yaml:"request_field"`
	NumberFormat string                      `yaml:"number_format"`
	Countries    countries                   `yaml:"countries"`
	SuccessCodes []string                    `yaml:"success_codes"`
	CodeMap      wordMap[codeMeaning]        `yaml:"code_map"`
	TransferMap  wordMap[transferWord]       `yaml:"transfer_map"`
	OperatorMap  wordMap[operatorID]         `yaml:"operator_map"`
	Fields       fields                      `yaml:"fields"`
}

// readSettings reads the settings over the defaults, which are the vendor's sample.
func readSettings(cfg setup.Config) (settings, error) {
	s := settings{
		Method: http.MethodPost, ContentType: contentJSON,
		Auth:         auth{Mode: authHeader, Header: "Authorization"},
		RequestField: "mobile_number", NumberFormat: formatNational,
		Countries: countries{callingCodeCN: isoCN}, SuccessCodes: []string{"SUCCESS"},
		Fields: fields{
			Code: "code", Message: "message", Data: "data", Transfer: "data.transfer",
			Original: "data.originalOperator", Current: "data.currentOperator",
		},
	}
	decodeErr := setup.Decode(cfg.Settings, &s)
	s.Method = strings.ToUpper(s.Method)
	for i, code := range s.SuccessCodes {
		s.SuccessCodes[i] = strings.TrimSpace(code)
	}
	err := setup.Join("settings", decodeErr, s.checkRequest(), s.checkCodes(), s.Fields.check())
	if err == nil {
		err = setup.Join("settings.auth", s.Auth.complete(cfg.BaseURL))
	}
	return s, err
}

// checkRequest is what has to hold of the request.
func (s *settings) checkRequest() error {
	var errs []error
	fault := func(path, problem string) { errs = append(errs, setup.FieldError{Path: path, Problem: problem}) }
	switch u, err := url.Parse(s.Path); {
	case s.Path == "":
		fault("path", "is missing; the vendor's page names none, so write the one that came with your account, like /v1/mobile-transfer")
	case err != nil || !strings.HasPrefix(s.Path, "/") || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Host != "":
		fault("path", "is no path; write it like /v1/mobile-transfer, and what follows a question mark into extra_body")
	}
	if s.Method != http.MethodPost && s.Method != http.MethodGet {
		fault("method", "is neither POST nor GET")
	}
	if s.ContentType != contentJSON && s.ContentType != contentForm {
		fault("content_type", "is neither "+contentJSON+" nor "+contentForm)
	}
	if s.RequestField == "" {
		fault("request_field", "is empty; name the field that takes the number")
	}
	if !slices.Contains([]string{formatNational, formatDigits, formatE164}, s.NumberFormat) {
		fault("number_format", "is none of national, digits, e164")
	}
	if len(s.Countries) == 0 {
		fault("countries", "is empty; write it like [CN]")
	}
	return setup.Join("", append(errs, s.checkExtra(), s.checkHeaders())...)
}

// checkExtra: the further fields can be written in the request's form, and none
// of them is another one's.
func (s *settings) checkExtra() error {
	var errs []error
	fault := func(name, problem string) { errs = append(errs, setup.FieldError{Path: name, Problem: problem}) }
	for _, name := range slices.Sorted(maps.Keys(s.ExtraBody)) {
		value := s.ExtraBody[name]
		_, isPlain := plainText(value)
		_, err := json.Marshal(value)
		switch {
		case name == s.RequestField:
			fault("extra_body."+name, "is the number's own field; remove it here or change request_field")
		case s.plain() && !isPlain:
			fault("extra_body."+name, "is a list or mapping, which only a JSON body can hold")
		case err != nil:
			fault("extra_body."+name, "is nothing that JSON can hold")
		}
	}
	if param := s.Auth.Param; s.Method == http.MethodGet && param != "" {
		if _, taken := s.ExtraBody[param]; taken || param == s.RequestField {
			fault("auth.param", "is the name of another field of the query")
		}
	}
	return setup.Join("", errs...)
}

// plain reports whether the request's fields are texts: of a form or a query.
func (s *settings) plain() bool { return s.Method == http.MethodGet || s.ContentType == contentForm }

func (s *settings) checkHeaders() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(s.ExtraHeaders)) {
		var problem string
		switch canonical := http.CanonicalHeaderKey(name); {
		case !token(name):
			problem = "is no name of a header"
		case canonical == "Content-Type":
			problem = "has a setting of its own, content_type"
		case slices.Contains([]string{"Host", "Content-Length", "Transfer-Encoding", "Connection", "User-Agent", "Accept", "Accept-Encoding"}, canonical):
			problem = "is set by the HTTP client; remove it"
		case s.Auth.inHeader() && canonical == http.CanonicalHeaderKey(s.Auth.Header):
			problem = "carries the key; remove it here or change auth.header"
		default:
			continue
		}
		errs = append(errs, setup.FieldError{Path: "extra_headers." + name, Problem: problem})
	}
	return setup.Join("", errs...)
}

// checkCodes: no code means two things.
func (s *settings) checkCodes() error {
	if s.Fields.Code == "" {
		if len(s.CodeMap) > 0 {
			return setup.FieldError{Path: "code_map", Problem: "has no meaning without fields.code; remove one"}
		}
		return nil
	}
	if len(s.SuccessCodes) == 0 {
		return setup.FieldError{Path: "success_codes", Problem: "is empty; name the codes of success, like [SUCCESS]"}
	}
	var errs []error
	for _, code := range s.SuccessCodes {
		if _, both := s.CodeMap[code]; both {
			errs = append(errs, setup.FieldError{Path: "code_map." + code, Problem: "is one of success_codes, too; remove one"})
		}
		if code == "" {
			errs = append(errs, setup.FieldError{Path: "success_codes", Problem: "has an empty code; remove it"})
		}
	}
	return setup.Join("", errs...)
}

// token reports whether name can be a header's, by RFC 9110.
func token(name string) bool {
	return name != "" && strings.IndexFunc(name, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	}) < 0
}

// loopback reports whether base stays on this machine.
func loopback(base *url.URL) bool {
	ip := net.ParseIP(base.Hostname())
	return base.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// countries are ISO codes by calling code.
type countries map[string]string

// UnmarshalYAML reads [CN, SG].
func (c *countries) UnmarshalYAML(node *yaml.Node) error {
	var list []string
	if err := node.Decode(&list); err != nil {
		return setup.FieldError{Line: node.Line, Problem: "is no list of countries; write it like [CN]"}
	}
	*c = make(countries, len(list))
	var errs []error
	for _, name := range list {
		iso := strings.ToUpper(strings.TrimSpace(name))
		calling := phonenumbers.GetCountryCodeForRegion(iso)
		if calling == 0 {
			errs = append(errs, setup.FieldError{Line: node.Line, Problem: fmt.Sprintf("%q is no country; use ISO 3166-1 codes like CN", name)})
			continue
		}
		if len(phonenumbers.GetRegionCodesForCountryCode(calling)) > 1 {
			iso = "" // the number alone does not say which of them it is
		}
		(*c)[strconv.Itoa(calling)] = iso
	}
	return setup.Join("", errs...)
}

// wordMap gives words a meaning. Its entries are read one by one, so that every
// fault is reported with its line.
type wordMap[V any] map[string]V

// UnmarshalYAML reads {word: meaning}, its words quoted or not.
func (m *wordMap[V]) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.MappingNode {
		return setup.FieldError{Line: node.Line, Problem: "is not a mapping; write `word: meaning` below it"}
	}
	*m = make(wordMap[V], len(node.Content)/2)
	var errs []error
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		word := strings.TrimSpace(key.Value)
		if _, twice := (*m)[word]; twice {
			errs = append(errs, setup.FieldError{Line: key.Line, Path: word, Problem: "is there twice; remove one"})
			continue
		}
		var v V
		errs = append(errs, setup.Join(word, value.Decode(&v)))
		(*m)[word] = v
	}
	return setup.Join("", errs...)
}
