package outbound

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"bridge.example/internal/fault"
)

// Host is one that the operator vouches for by the name a URL has for it.
type Host struct {
	Name string // DNS name or address, as ParseHost writes it
	Port uint16 // 0 means every port
}

// ParseHost reads HOST or HOST:PORT; an IPv6 address with a port stands in
// brackets. The error is Invalid.
func ParseHost(s string) (Host, error) {
	h := Host{Name: s}
	if addr, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		h.Name = addr.String()
	} else if strings.Contains(s, ":") {
		name, port, _ := net.SplitHostPort(s)
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return Host{}, fault.New(fault.Invalid, "%q is not a host with a port from 1 to 65535, such as ldap.example:389", s)
		}
		h = Host{Name: name, Port: uint16(n)}
	}
	h.Name = canonical(h.Name)
	if h.Name == "" || strings.ContainsAny(h.Name, "/@*?#[] ") {
		return Host{}, fault.New(fault.Invalid, "%q is not a host such as ldap.example or ldap.example:389", s)
	}
	return h, nil
}

// canonical is the one spelling of a host's name.
func canonical(name string) string {
	if addr, err := netip.ParseAddr(name); err == nil {
		return addr.Unmap().String()
	}
	return strings.TrimSuffix(strings.ToLower(name), ".")
}

// names reports whether address, as it stood before resolution, is one of
// p.Hosts.
func (p Policy) names(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	host = canonical(host)
	return slices.ContainsFunc(p.Hosts, func(h Host) bool {
		return h.Name == host && (h.Port == 0 || strconv.Itoa(int(h.Port)) == port)
	})
}

// port reports whether that of address is one of p.Ports.
func (p Policy) port(address string) bool {
	_, port, err := net.SplitHostPort(address)
	return len(p.Ports) == 0 || err == nil && slices.ContainsFunc(p.Ports, func(n uint16) bool {
		return strconv.Itoa(int(n)) == port
	})
}
