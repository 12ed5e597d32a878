package telnyx

import (
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
)

const someID = "f1486bae-f067-460c-ad43-73a92848f902"

// reads are the endpoints of the vendor that change nothing, mutations those that
// do; {} stands for an id.
func reads() []string {
	return strings.Split(strings.TrimSpace(`
POST /portability_checks
GET /porting_phone_numbers
GET /porting_orders
GET /porting_orders/{}
GET /porting_orders/exception_types
GET /porting_orders/phone_number_configurations
GET /porting_orders/{}/activation_jobs
GET /porting_orders/{}/activation_jobs/{}
GET /porting_orders/{}/additional_documents
GET /porting_orders/{}/allowed_foc_windows
GET /porting_orders/{}/comments
GET /porting_orders/{}/loa_template
GET /porting_orders/{}/requirements
GET /porting_orders/{}/sub_request
GET /porting_orders/{}/verification_codes
GET /porting_orders/{}/action_requirements
GET /porting_orders/{}/associated_phone_numbers
GET /porting_orders/{}/phone_number_blocks
GET /porting_orders/{}/phone_number_extensions
GET /porting/events
GET /porting/events/{}
GET /porting/loa_configurations
GET /porting/loa_configurations/{}
GET /porting/loa_configurations/{}/preview
POST /porting/loa_configurations/preview
GET /porting/reports
GET /porting/reports/{}
GET /porting/uk_carriers
GET /number_lookup/+13035550000`), "\n")
}

func mutations() []string {
	return strings.Split(strings.TrimSpace(`
POST /porting_orders
PATCH /porting_orders/{}
DELETE /porting_orders/{}
POST /porting_orders/{}/actions/activate
POST /porting_orders/{}/actions/cancel
POST /porting_orders/{}/actions/confirm
POST /porting_orders/{}/actions/share
PATCH /porting_orders/{}/activation_jobs/{}
POST /porting_orders/{}/additional_documents
DELETE /porting_orders/{}/additional_documents/{}
POST /porting_orders/{}/comments
POST /porting_orders/{}/verification_codes/send
POST /porting_orders/{}/verification_codes/verify
POST /porting_orders/{}/action_requirements/{}/initiate
POST /porting_orders/{}/associated_phone_numbers
DELETE /porting_orders/{}/associated_phone_numbers/{}
POST /porting_orders/{}/phone_number_blocks
DELETE /porting_orders/{}/phone_number_blocks/{}
POST /porting_orders/{}/phone_number_extensions
DELETE /porting_orders/{}/phone_number_extensions/{}
POST /porting_orders/phone_number_configurations
POST /porting/loa_configurations
PATCH /porting/loa_configurations/{}
DELETE /porting/loa_configurations/{}
POST /porting/reports
POST /porting/events/{}/republish`), "\n")
}

// needed is what the operations need of the lists above.
func needed(endpoint string) bool {
	switch endpoint {
	case "POST /portability_checks", "GET /porting_phone_numbers", "GET /porting_orders", "GET /porting_orders/{}",
		"GET /number_lookup/+13035550000":
		return true
	}
	return false
}

// shape is a second opinion on what may leave, written apart from the routes.
func shape() *regexp.Regexp {
	return regexp.MustCompile(`^(POST /portability_checks|GET /porting_phone_numbers|GET /porting_orders(/[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})?|GET /number_lookup/\+[1-9][0-9]{6,14})$`)
}

func TestOnlyNeededReadsAreAllowed(t *testing.T) {
	t.Parallel()
	all := append(reads(), mutations()...)
	require.Len(t, reads(), 28+1)
	require.Len(t, mutations(), 26)
	for _, endpoint := range all {
		method, p, ok := strings.Cut(strings.ReplaceAll(endpoint, "{}", someID), " ")
		require.True(t, ok)
		require.Equal(t, needed(endpoint), allowed(method, p), endpoint)
		for _, other := range []string{"PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "get", "", "POST "} {
			require.False(t, allowed(other, p), "%s %s", other, p)
		}
		for _, more := range []string{"/", "?x=1", "#", "/../x", "%2f", " ", "\n", ";x", "/actions/cancel"} {
			require.False(t, allowed(method, p+more), "%s%s", endpoint, more)
		}
	}
}

// Whatever is put into a route, built or refused: never one that is not needed.
func TestOnlyNeededReadsCanBeBuilt(t *testing.T) {
	t.Parallel()
	places := []string{
		"", someID, strings.ToUpper(someID), "+13035550000", "13035550000", "exception_types", "..", "../porting_orders", "/", "//",
		"+1303555/../../porting_orders", "+1303555?x", "+1303555%2F", someID + "/actions/cancel", someID + "/", "?" + someID, someID + "?",
		"f1486bae-f067-460c-ad43-73a92848f90/", "00000000-0000-0000-0000-00000000000G", "phone_number_configurations", "+1303555 000", "+0303555000",
		"+1303555", "+130355", "+1303555000000000", "\x00", "+１２３４５６７８",
	}
	for _, endpoint := range append(reads(), mutations()...) {
		_, p, _ := strings.Cut(strings.ReplaceAll(endpoint, "{}", someID), " ")
		places = append(places, p, strings.TrimPrefix(p, "/"))
	}
	built := make(map[string]bool)
	for r := range 256 {
		for _, free := range places {
			for _, body := range [][]byte{nil, {}, []byte("{}")} {
				req, ok := ask{route: route(r), free: free, body: body}.request(key())
				if !ok {
					require.Empty(t, req)
					continue
				}
				endpoint := req.Method + " " + req.Path
				require.Regexp(t, shape(), endpoint)
				require.Equal(t, path.Clean(req.Path), req.Path)
				require.Equal(t, req.Method == http.MethodPost, req.Body != nil)
				built[strings.NewReplacer(someID, "{}", strings.ToUpper(someID), "{}").Replace(endpoint)] = true
			}
		}
	}
	for _, endpoint := range append(reads(), mutations()...) {
		require.Equal(t, needed(endpoint), built[endpoint], endpoint)
	}
}

func TestWhatIsNotAllowedIsNotSent(t *testing.T) {
	t.Parallel()
	p := newProvider(t, "", transport(func(r *http.Request) *http.Response {
		t.Errorf("sent %s", r.Method)
		return says(200, "{}")
	}))
	for _, a := range []ask{
		{route: portingOrder, free: "exception_types"},
		{route: portingOrder, free: ""},
		{route: portingOrders, free: "/" + someID},
		{route: portingOrders, body: []byte("{}")},
		{route: portabilityChecks},
		{route: route(routes)},
		{route: 255},
		{route: numberLookup, free: "+1303555/.."},
	} {
		_, no := p.wire.send(t.Context(), key(), a)
		require.NotNil(t, no)
		require.Equal(t, providers.KindInternal, no.failure.Kind)
	}
}

// Over all operations, replies and odd inputs, nothing else leaves the process.
func TestOnlyAllowedRequestsLeave(t *testing.T) {
	t.Parallel()
	numbers := []string{
		"+13035550000", "+13035550001", "+13035550002", "+13035550003", "+1/../porting_orders", "+1303?x=5550000", "+1303%2F5550", "", "+", "13035550000",
		"+1303555000\n", "+13035550000/actions/cancel", someID,
	}
	ids := []string{someID, "../" + someID, someID + "/actions/cancel", "?", "", "exception_types", strings.ToUpper(someID)}
	var bodies []string
	for _, id := range ids {
		for _, count := range []string{"1", "60", "null"} {
			one := `{"id":` + encode(id) + `,"status":{"value":"submitted"},"created_at":"2026-01-01T00:00:00Z","porting_phone_numbers_count":` + count + `,"phone_numbers":[]}`
			bodies = append(bodies, `{"data":[`+one+`],"meta":{"total_pages":2,"total_results":2}}`, `{"data":`+one+`}`)
		}
		bodies = append(bodies, `{"data":[{"phone_number":"13035550000","porting_order_id":`+encode(id)+`}],"meta":{}}`)
	}
	bodies = append(bodies, "", "{}", `{"data":[]}`, `{"data":{}}`, "<html>", `{"errors":[{"code":"10005"}]}`, `{"errors":[{"code":"10016","source":{"pointer":"/phone_numbers/0"}}]}`)
	statuses := []int{200, 201, 204, 302, 400, 401, 404, 409, 422, 429, 500}

	var mu sync.Mutex
	seen := make(map[string]int)
	dice := rand.New(rand.NewPCG(1, 2))
	p := newProvider(t, "porting_max_age: 1ms", transport(func(r *http.Request) *http.Response {
		mu.Lock()
		defer mu.Unlock()
		seen[r.Method+" "+strings.TrimPrefix(r.URL.EscapedPath(), "/v2")]++
		status := 200
		if dice.IntN(3) == 0 {
			status = statuses[dice.IntN(len(statuses))]
		}
		return says(status, bodies[dice.IntN(len(bodies))], "Location", "/v2/porting_orders/"+someID+"/actions/cancel")
	}))
	for _, op := range operations() {
		for first := range numbers {
			for size := 1; size <= 5; size++ {
				for range 40 {
					q := providers.Query{Key: key(), Options: providers.Options{optionOperation: string(op)}}
					for i := range size {
						n := numbers[(first+i)%len(numbers)]
						q.Numbers = append(q.Numbers, providers.Number{E164: n, National: n})
					}
					p.Call(t.Context(), q)
				}
			}
		}
	}
	_ = p.Check(t.Context(), key())
	for endpoint := range seen {
		require.Regexp(t, shape(), endpoint)
	}
	for _, want := range []string{
		"POST /portability_checks", "GET /porting_phone_numbers", "GET /porting_orders", "GET /porting_orders/" + someID, "GET /number_lookup/+13035550000",
	} {
		require.Positive(t, seen[want], "%s was not tried", want)
	}
}

// The client is made and used in one place, and there is no other way out: nothing
// that opens a connection is imported, and of net/http only what cannot.
func TestOneWayOut(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var all ways
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		w := waysOut(file)
		require.Empty(t, w.forbidden, name)
		all.makes, all.sends = all.makes+w.makes, all.sends+w.sends
	}
	require.Equal(t, ways{makes: 1, sends: 1}, all)
}

// ways are how a file could reach the network.
type ways struct {
	// makes and sends count where a client is made, and where one is used.
	makes, sends int
	forbidden    []string
}

// harmless are the packages that this one may import: none opens a connection but
// upstream, whose uses are counted.
func harmless() []string {
	return []string{
		"bytes", "cmp", "context", "encoding/json", "errors", "fmt", "io", "maps", "math", "net/http", "net/url", "regexp", "slices", "sort", "strconv", "strings",
		"sync", "sync/atomic", "time", "unicode", "unicode/utf8", "go.yaml.in/yaml/v3",
		"github.com/lookupq/lookupq/internal/dur", "github.com/lookupq/lookupq/providers", "github.com/lookupq/lookupq/providers/normal",
		"github.com/lookupq/lookupq/providers/setup", "github.com/lookupq/lookupq/providers/upstream", "github.com/lookupq/lookupq/providers/words",
	}
}

func waysOut(file *ast.File) ways {
	var w ways
	no := func(what, name string) { w.forbidden = append(w.forbidden, what+" "+name) }
	for _, i := range file.Imports {
		if imported := strings.Trim(i.Path.Value, `"`); !slices.Contains(harmless(), imported) {
			no("imports", imported)
		}
		if i.Name != nil {
			no("imports as", i.Name.Name)
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		name := selector.Sel.Name
		x, _ := selector.X.(*ast.Ident)
		switch {
		case x != nil && x.Name == "http":
			if !speechless(name) {
				no("uses", "http."+name)
			}
		case x != nil && x.Name == "upstream" && name == "New":
			w.makes++
		case name == "Do":
			w.sends++
		case name == "RoundTrip", name == "Transport" && (x == nil || x.Name != "cfg"):
			no("uses", name)
		}
		return true
	})
	return w
}

// speechless reports whether a name of net/http is one of its constants, or the
// type of a header: with these alone nothing can be sent.
func speechless(name string) bool {
	return strings.HasPrefix(name, "Status") && name != "StatusText" || strings.HasPrefix(name, "Method") || name == "Header" || name == "TimeFormat"
}

// What TestOneWayOut is there for would not get past it.
func TestWaysOutAreSeen(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`import "net"`:        "imports net",
		`import "os/exec"`:    "imports os/exec",
		`import "crypto/tls"`: "imports crypto/tls",
		`import h "net/http"; var _ = h.DefaultClient`:               "imports as h",
		`import . "net/http"`:                                        "imports as .",
		`import _ "net/http/pprof"`:                                  "imports net/http/pprof",
		`import "net/http"; var _ = http.Get`:                        "uses http.Get",
		`import "net/http"; var _ http.RoundTripper`:                 "uses http.RoundTripper",
		`import "net/http"; var _ = (&http.Client{}).Do`:             "uses http.Client",
		`import "net/http"; var _ = http.DefaultTransport.RoundTrip`: "uses http.DefaultTransport",
		`func f(p Provider) { p.x.RoundTrip(nil) }`:                  "uses RoundTrip",
		`func f(c config) { c.Transport.x() }`:                       "uses Transport",
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package telnyx\n"+body, 0)
		require.NoError(t, err, body)
		require.Contains(t, waysOut(file).forbidden, want, body)
	}
	for _, body := range []string{`import "net/http"; var _ = http.StatusOK`, `import "net/http"; func f(h http.Header) { _ = http.MethodGet }`} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package telnyx\n"+body, 0)
		require.NoError(t, err)
		require.Equal(t, ways{}, waysOut(file))
	}
	twice, err := parser.ParseFile(token.NewFileSet(), "x.go", `package telnyx; import "github.com/lookupq/lookupq/providers/upstream"; func f() { upstream.New(c); a.b.Do(1); c.Do(2) }`, 0)
	require.NoError(t, err)
	require.Equal(t, ways{makes: 1, sends: 2}, waysOut(twice))
}

func TestAddressesAreEncoded(t *testing.T) {
	t.Parallel()
	var got []string
	p := newProvider(t, "", transport(func(r *http.Request) *http.Response {
		got = append(got, r.URL.RequestURI())
		require.Equal(t, "Bearer "+testKey, r.Header.Get("Authorization"))
		return says(200, `{"data":[],"meta":{}}`)
	}))
	require.Nil(t, p.Check(t.Context(), key()))
	p.Call(t.Context(), query(opPorting, "+13035550000"))
	q, err := url.ParseQuery("filter[phone_numbers][phone_number][contains]=%2B13035550000&include_phone_numbers=true&page[number]=1&page[size]=100&sort[value]=-created_at")
	require.NoError(t, err)
	require.Equal(t, []string{"/v2/porting_orders?page%5Bsize%5D=1", "/v2/porting_orders?" + q.Encode()}, got)
}
