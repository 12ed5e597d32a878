package embedded

import (
	"fmt"

	"github.com/rs/zerolog"
)

// natsLog carries the server's words into our log, and a fatal one to the
// goroutine that waits for the start: nats-server's own logger would end the process.
type natsLog struct {
	log   zerolog.Logger
	fatal chan string
}

// newNATSLog makes the adapter. fatal holds the first fatal text, later ones are only logged.
func newNATSLog(log zerolog.Logger) *natsLog {
	return &natsLog{log: log, fatal: make(chan string, 1)}
}

// Noticef is start, stop and listening: nothing an operator has to see each time.
func (l *natsLog) Noticef(format string, v ...any) { l.write(zerolog.DebugLevel, format, v) }

// Warnf is something an operator may want to mend.
func (l *natsLog) Warnf(format string, v ...any) { l.write(zerolog.WarnLevel, format, v) }

// Errorf is a failure the server lives with, a full disk for one.
func (l *natsLog) Errorf(format string, v ...any) { l.write(zerolog.ErrorLevel, format, v) }

// Debugf is off: the server is told so at SetLogger.
func (l *natsLog) Debugf(format string, v ...any) { l.write(zerolog.TraceLevel, format, v) }

// Tracef is off: it would show message bodies.
func (l *natsLog) Tracef(string, ...any) {}

// Fatalf ends the start that is waiting in waitReady.
func (l *natsLog) Fatalf(format string, v ...any) {
	l.write(zerolog.ErrorLevel, format, v)
	select {
	case l.fatal <- fmt.Sprintf(format, v...):
	default:
	}
}

// write logs one line; it formats nothing for a level that is off.
func (l *natsLog) write(level zerolog.Level, format string, v []any) {
	if e := l.log.WithLevel(level); e.Enabled() && level >= l.log.GetLevel() {
		e.Str("nats_server", fmt.Sprintf(format, v...)).Msg("embedded nats")
	}
}
