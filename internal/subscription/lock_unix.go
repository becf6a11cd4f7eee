//go:build linux || darwin || freebsd || netbsd || openbsd

package subscription

import (
	"errors"
	"os"
	"syscall"

	"bridge.example/internal/fault"
)

// lock keeps other programs from updating the same directory; the system lets go
// of it when this program ends, however it does. Errors: Conflict.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, diskFault(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fault.New(fault.Conflict, "another update of this subscription is under way")
		}
		return nil, diskFault(err)
	}
	return func() { f.Close() }, nil
}
