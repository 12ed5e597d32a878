package embedded

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"syscall"

	"github.com/nats-io/nats-server/v2/server"
)

// defaultNATSPort is where a NATS URL without a port points.
const defaultNATSPort = "4222"

// endpoint is where the embedded NATS listens and what it asks of clients.
type endpoint struct {
	host           string
	port           int // 0: any free port
	user, password string
	token          string
}

// parseEndpoint reads nats.url (or a bare host:port). A list of servers, TLS and
// websockets are for a NATS of one's own; here they are errors that say so.
func parseEndpoint(listen string) (endpoint, error) {
	raw := listen
	if !strings.Contains(raw, "://") {
		raw = "nats://" + raw
	}
	if strings.Contains(raw, ",") {
		return endpoint{}, errors.New("nats.url names several servers, --embedded starts exactly one: give one address or drop --embedded")
	}
	u, err := url.Parse(raw)
	if err != nil {
		// The text of url.Error quotes the URL, which may hold a password.
		return endpoint{}, errors.New(`nats.url is not a URL: write it as "nats://127.0.0.1:4222"`)
	}
	if u.Scheme != "nats" {
		return endpoint{}, fmt.Errorf("nats.url has scheme %q, --embedded speaks plain nats:// only: drop --embedded or write nats://", u.Scheme)
	}
	port := u.Port()
	if port == "" {
		port = defaultNATSPort
	}
	e := endpoint{host: u.Hostname()}
	if e.port, err = strconv.Atoi(port); err != nil || e.port > 65535 {
		return endpoint{}, fmt.Errorf("nats.url has port %q: use 1 to 65535, or 0 for any free port", port)
	}
	if e.host == "" {
		e.host = "127.0.0.1"
	}
	if pw, both := u.User.Password(); both {
		e.user, e.password = u.User.Username(), pw
	} else {
		e.token = u.User.Username()
	}
	return e, nil
}

// userinfo is what a client's URL needs; nil without credentials.
func (e endpoint) userinfo() *url.Userinfo {
	switch {
	case e.token != "":
		return url.User(e.token)
	case e.user != "":
		return url.UserPassword(e.user, e.password)
	}
	return nil
}

// apply sets the server's options from e.
func (e endpoint) apply(o *server.Options) {
	o.Host, o.Port = e.host, e.port
	if e.port == 0 {
		o.Port = server.RANDOM_PORT
	}
	o.Username, o.Password, o.Authorization = e.user, e.password, e.token
}

// probe finds out in advance whether the address can be listened on, so that a
// busy port is one clear line and no store is opened for nothing.
func (e endpoint) probe() error {
	addr := net.JoinHostPort(e.host, strconv.Itoa(e.port))
	l, err := net.Listen("tcp", addr) //nolint:noctx // binding a local port does not block
	if err == nil {
		return l.Close()
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("embedded NATS: %s is in use; stop what listens there, set nats.url to another port, or drop --embedded to use the server that runs there", addr)
	}
	return fmt.Errorf("embedded NATS cannot listen on %s, check nats.url: %w", addr, err)
}
