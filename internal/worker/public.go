package worker

import (
	"context"
	"net/http"
	"slices"

	"github.com/lookupq/lookupq/internal/worker/tickets"
)

// openPublic serves what providers push, at an address of its own: nothing else
// of the worker is reachable there.
func (w *Worker) openPublic(ctx context.Context) error {
	srv, err := serve(ctx, place{"http.public_listen", w.cfg.HTTP.PublicListen}, exposed(), w.publicMux, w.log)
	if err != nil {
		return err
	}
	w.public = srv
	w.onClose("public http", srv.Close)
	return nil
}

// PublicAddr is where receipts are taken, "" if nowhere.
func (w *Worker) PublicAddr() string { return w.public.Addr() }

// publicMux is every address of http.public_listen: receipts, by the type of the
// provider and the token of the ticket.
func (w *Worker) publicMux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+callbackPath+"{type}/{token}", func(rw http.ResponseWriter, r *http.Request) {
		desks := w.desksOf(r.PathValue("type"))
		if len(desks) == 0 {
			http.NotFound(rw, r)
			return
		}
		token := r.PathValue("token")
		// Providers of one type share the path; a token belongs to one of them.
		i := slices.IndexFunc(desks, func(d *tickets.Desk) bool { return d.Knows(token) })
		desks[max(i, 0)].ServeReceipt(rw, r, token)
	})
	return mux
}

func (w *Worker) desksOf(typ string) []*tickets.Desk {
	var desks []*tickets.Desk
	for _, d := range w.desks {
		if d.typ == typ {
			desks = append(desks, d.Desk)
		}
	}
	return desks
}
