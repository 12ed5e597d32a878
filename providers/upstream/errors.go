package upstream

import (
	"compress/flate"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/url"
	"syscall"

	"github.com/klauspost/compress/gzip"

	"github.com/lookupq/lookupq/providers"
)

// errOversize says that a reply is larger than the cap.
var errOversize = errors.New("reply is larger than the cap")

// errEncoding says that a reply is compressed in a way that was not asked for.
var errEncoding = errors.New("reply has an unknown content encoding")

// notConnected reports whether err came before the upstream could see a request.
func notConnected(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return true
	}
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	return errors.As(err, &dns) || errors.As(err, &cert) || errors.As(err, &record)
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

// bodyFailure classifies what went wrong while the reply was read.
func bodyFailure(ctx context.Context, err error, secrets []providers.Secret) *providers.Failure {
	switch {
	case errors.Is(err, errOversize):
		return &providers.Failure{Kind: providers.KindOversize, Message: err.Error()}
	case ctx.Err() != nil:
		return &providers.Failure{Kind: providers.KindTimeout, Message: waited(ctx, providers.KindTimeout)}
	case isTimeout(err):
		return &providers.Failure{Kind: providers.KindTimeout, Message: describe(err, secrets)}
	case isEncoding(err):
		return &providers.Failure{Kind: providers.KindGarbled, Message: Clean(err.Error(), secrets...)}
	}
	return &providers.Failure{Kind: providers.KindCutOff, Message: "reply broke off: " + describe(err, secrets)}
}

func isEncoding(err error) bool {
	var corrupt flate.CorruptInputError
	return errors.Is(err, errEncoding) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) ||
		errors.As(err, &corrupt)
}

// stripURL drops the address that *url.Error puts into its text.
func stripURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// describe words a transport's error: a few known causes by name, else its own
// text, cleaned.
func describe(err error, secrets []providers.Secret) string {
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var host x509.HostnameError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset"
	case errors.As(err, &dns):
		return "host name not found"
	case errors.As(err, &host):
		return "certificate is for another host"
	case errors.As(err, &cert):
		return "certificate not trusted"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "connection closed"
	}
	return Clean(stripURL(err).Error(), secrets...)
}
