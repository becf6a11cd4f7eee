package retrieve

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"bridge.example/internal/fault"
)

func (r *Run) http(ctx context.Context, u *url.URL) (found Found, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return found, fault.New(fault.Invalid, "%w", err)
	}
	defer r.client.CloseIdleConnections()
	resp, err := r.client.Do(req)
	if err != nil {
		if wrapped, ok := err.(*url.Error); ok {
			err = wrapped.Err // the caller says which URL
		}
		return found, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return found, fault.New(fault.Unavailable, "the server answers %s", resp.Status)
	}
	room := r.room()
	body, err := io.ReadAll(io.LimitReader(resp.Body, room+1))
	r.spend(int64(len(body)))
	if err != nil {
		return found, err
	}
	if int64(len(body)) > room {
		return found, fault.New(fault.Invalid, "the answer is longer than %d bytes", room)
	}
	err = found.add(body)
	return found, err
}
