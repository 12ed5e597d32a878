package redisdb

import (
	"errors"
	"fmt"
	"net"
	neturl "net/url"
	"slices"
	"strconv"
	"strings"
)

// Forms are the URLs that Open understands, for messages.
const Forms = "redis://user:password@host:6379/0, rediss:// (TLS), redis-socket:///path/redis.sock?db=0, " +
	"redis-sentinel://host1:26379,host2:26379/0?master=name, redis-cluster://host1:6379,host2:6379"

// target is a parsed redis.url.
type target struct {
	scheme                         string
	addrs                          []string
	user, password                 string
	sentinelUser, sentinelPassword string
	master                         string
	db                             int
	tls, cluster                   bool
}

// String names the target without its password.
func (t target) String() string {
	s := t.scheme + "://" + strings.Join(t.addrs, ",")
	if !t.cluster {
		s += "/" + strconv.Itoa(t.db)
	}
	return s
}

// parse reads a URL. Its errors never quote the URL, which may hold a password.
func parse(raw string) (target, error) {
	scheme, rest, ok := strings.Cut(strings.TrimSpace(raw), "://")
	if !ok {
		return target{}, errors.New("not a URL (no ://)")
	}
	t := target{scheme: scheme}
	kind, known := strings.CutPrefix(scheme, "rediss")
	t.tls = known
	if !known {
		kind, known = strings.CutPrefix(scheme, "redis")
	}
	// Several hosts in one URL are beyond net/url: it gets the first one only.
	first, more := splitHosts(rest)
	u, err := neturl.Parse("redis://" + first)
	if err != nil {
		return target{}, errors.New("malformed (a password with special characters must be percent-encoded)")
	}
	t.user = u.User.Username()
	t.password, _ = u.User.Password()
	switch {
	case scheme == "unix", kind == "-socket" && !t.tls:
		t.addrs = []string{u.Path}
		if u.Host != "" || u.Path == "" || u.Path == "/" {
			return target{}, errors.New("a socket URL needs an absolute path (three slashes) and no host")
		}
		t, err = t.withQuery(u, "")
		return t, err
	case !known:
		return target{}, fmt.Errorf("unknown scheme %q", scheme)
	case kind == "-sentinel":
		t.addrs = hosts(u.Host, more, "26379")
	case kind == "-cluster":
		t.addrs, t.cluster = hosts(u.Host, more, "6379"), true
	case kind == "":
		t.addrs, t.cluster = hosts(u.Host, more, "6379"), len(more) > 0
	default:
		return target{}, fmt.Errorf("unknown scheme %q", scheme)
	}
	if t, err = t.withQuery(u, strings.Trim(u.Path, "/")); err != nil {
		return target{}, err
	}
	return t, t.check(kind == "-sentinel")
}

// withQuery takes the database from the path and the rest from the parameters.
func (t target) withQuery(u *neturl.URL, path string) (target, error) {
	q, err := neturl.ParseQuery(u.RawQuery)
	if err != nil {
		return t, errors.New("malformed parameters")
	}
	db := path
	for name, values := range q {
		v := values[len(values)-1]
		switch name {
		case "db":
			db = v
		case "master", "master_name":
			t.master = v
		case "sentinel_user":
			t.sentinelUser = v
		case "sentinel_password":
			t.sentinelPassword = v
		default:
			return t, fmt.Errorf("unknown parameter %q (known: db, master, sentinel_user, sentinel_password)", name)
		}
	}
	if db == "" {
		return t, nil
	}
	if t.db, err = strconv.Atoi(db); err != nil || t.db < 0 {
		return t, fmt.Errorf("database %q is not a number", db)
	}
	return t, nil
}

// check tells what a kind of URL needs or excludes.
func (t target) check(sentinel bool) error {
	switch {
	case slices.Contains(t.addrs, ""):
		return errors.New("no host")
	case sentinel && t.master == "":
		return errors.New("a sentinel URL needs ?master=name")
	case !sentinel && t.master != "":
		return errors.New("master= belongs to redis-sentinel://")
	case t.cluster && t.db != 0:
		return errors.New("a cluster has only database 0")
	}
	return nil
}

// splitHosts cuts the second and further hosts out of what follows "://".
func splitHosts(rest string) (first string, more []string) {
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	authority, tail := rest[:end], rest[end:]
	user := ""
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, authority = authority[:at+1], authority[at+1:]
	}
	all := strings.Split(authority, ",")
	return user + all[0] + tail, all[1:]
}

// hosts completes each address with the default port; an empty host stays "".
func hosts(first string, more []string, port string) []string {
	out := make([]string, 0, 1+len(more))
	for _, h := range append([]string{first}, more...) {
		switch _, _, err := net.SplitHostPort(h); {
		case h == "", strings.HasPrefix(h, ":"):
			h = ""
		case err != nil:
			h = net.JoinHostPort(strings.Trim(h, "[]"), port)
		}
		out = append(out, h)
	}
	return out
}
