package nxcloud

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testAccess = "test-access-key-01"
	testSecret = "test-secret-0123456789"
	testApp    = "app0001"
	testTicket = "ticket-0001"
	callback   = "https://lookup.example/callbacks/nxcloud/tok"

	numberA, numberB, numberC = "13800138000", "13900139000", "13972565391"
)

// testTime is that of the document's own vectors: 06:13 on November 15 in China.
func testTime() time.Time { return time.UnixMilli(1700000000000) }

func testKey() providers.Key {
	return providers.Key{Name: "main", Secret: providers.NewSecret(testSecret)}
}

func cn(national string) providers.Number {
	return providers.Number{E164: "+86" + national, CountryCode: "86", National: national}
}

func query(nationals ...string) providers.Query {
	q := providers.Query{Key: testKey()}
	for _, n := range nationals {
		q.Numbers = append(q.Numbers, cn(n))
	}
	return q
}

// reply is what the vendor answers next.
type reply struct {
	status int
	header map[string]string
	body   string
}

func ok(body string) reply { return reply{status: 200, body: body} }

// vendor answers with its replies in order, the last one again and again, and
// keeps what it was asked.
type vendor struct {
	server  *httptest.Server
	replies []reply

	mu    sync.Mutex
	asked []asked
}

type asked struct {
	path   string
	header http.Header
	body   string
}

func newVendor(t *testing.T, replies ...reply) *vendor {
	t.Helper()
	v := &vendor{replies: replies}
	v.server = httptest.NewServer(v)
	t.Cleanup(v.server.Close)
	return v
}

// ServeHTTP implements http.Handler.
func (v *vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	v.mu.Lock()
	next := v.replies[min(len(v.asked), len(v.replies)-1)]
	v.asked = append(v.asked, asked{r.URL.Path, r.Header, string(body)})
	v.mu.Unlock()
	for name, value := range next.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(next.status)
	_, _ = io.WriteString(w, next.body)
}

// requests are those made so far.
func (v *vendor) requests() []asked {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]asked(nil), v.asked...)
}

func node(t testing.TB, settings string) *yaml.Node {
	t.Helper()
	n := new(yaml.Node)
	require.NoError(t, yaml.Unmarshal([]byte(settings), n))
	return n
}

const plainSettings = "access_key: " + testAccess + "\napp_key: " + testApp + "\n"

// provider is one that calls v, with the settings besides the two names.
func (v *vendor) provider(t *testing.T, settings string) *Provider {
	t.Helper()
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	p, err := New(setup.Config{
		Name: "nxcloud", BaseURL: v.server.URL, Keys: []string{"main"}, Transport: transport, Clock: testTime,
		Settings: node(t, plainSettings+settings),
	})
	require.NoError(t, err)
	if b, ok := p.(*withBalance); ok {
		return b.Provider
	}
	return p.(*Provider) //nolint:forcetypeassert // there is no third type
}

// unconnected is a provider for what calls nobody.
func unconnected(t testing.TB, settings string) *Provider {
	t.Helper()
	p, err := New(setup.Config{Name: "nxcloud", Clock: testTime, Settings: node(t, plainSettings+settings)})
	require.NoError(t, err)
	return p.(*Provider) //nolint:forcetypeassert // no balance is configured
}
