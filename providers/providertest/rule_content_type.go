package providertest

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"maps"
)

// checkContentType: the recorded replies are understood under wrong types,
// compressed, and with a byte order mark.
func checkContentType(ctx context.Context, x *exam) error {
	return x.eachStep(func(c *Case, at int, step step) error {
		plain := []byte(step.response.Body)
		zipped, err := compress(plain)
		if err != nil {
			return err
		}
		forms := []struct {
			header, value string
			body          []byte
		}{
			{"Content-Type", "text/html; charset=utf-8", plain},
			{"Content-Type", "text/plain", plain},
			{"Content-Type", "application/octet-stream", plain},
			{"Content-Type", "", plain},
			{"Content-Encoding", "gzip", zipped},
			{"Content-Type", "application/json", append([]byte("\uFEFF"), plain...)},
			{"Content-Type", "application/json", append(append([]byte("\r\n "), plain...), '\n')},
		}
		for _, f := range forms {
			as := *step.response
			as.Header = maps.Clone(as.Header)
			if as.Header == nil {
				as.Header = map[string]string{}
			}
			as.Header[f.header] = f.value
			r, err := x.try(ctx, c, c.serve(at, replayBody(&as, f.body)))
			if err == nil {
				err = sameAll(c.Outcomes, r)
			}
			if err != nil {
				return fmt.Errorf("%s, %s with %s %q: %w", c.file, step.name, f.header, f.value, err)
			}
		}
		return nil
	})
}

func compress(plain []byte) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(plain); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
