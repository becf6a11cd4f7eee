package pathval

import (
	"crypto/x509"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Object identifiers are kept as the content of their DER: comparable, and
// nothing to allocate. These are id-ce (2.5.29) and others of RFC 5280.
const (
	oidSubjectKeyID      = "\x55\x1d\x0e"
	oidKeyUsage          = "\x55\x1d\x0f"
	oidSubjectAltName    = "\x55\x1d\x11"
	oidBasicConstraints  = "\x55\x1d\x13"
	oidNameConstraints   = "\x55\x1d\x1e"
	oidCRLDistPoints     = "\x55\x1d\x1f"
	oidPolicies          = "\x55\x1d\x20"
	oidAnyPolicy         = "\x55\x1d\x20\x00"
	oidPolicyMappings    = "\x55\x1d\x21"
	oidAuthorityKeyID    = "\x55\x1d\x23"
	oidPolicyConstraints = "\x55\x1d\x24"
	oidExtKeyUsage       = "\x55\x1d\x25"
	oidAnyExtKeyUsage    = "\x55\x1d\x25\x00"
	oidInhibitAnyPolicy  = "\x55\x1d\x36"
	oidAuthorityAccess   = "\x2b\x06\x01\x05\x05\x07\x01\x01"
	oidSubjectAccess     = "\x2b\x06\x01\x05\x05\x07\x01\x0b"
	oidCAIssuers         = "\x2b\x06\x01\x05\x05\x07\x30\x02"
	oidCARepository      = "\x2b\x06\x01\x05\x05\x07\x30\x05"
	oidCPS               = "\x2b\x06\x01\x05\x05\x07\x02\x01"
	oidUserNotice        = "\x2b\x06\x01\x05\x05\x07\x02\x02"
	oidEmailProtection   = "\x2b\x06\x01\x05\x05\x07\x03\x04"
	oidSmtpUTF8Mailbox   = "\x2b\x06\x01\x05\x05\x07\x08\x09"
	oidEmailAddress      = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01"
	oidRSA               = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
	oidRSAPSS            = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"
	oidDSA               = "\x2a\x86\x48\xce\x38\x04\x01"
)

// EmailProtection is id-kp-emailProtection (RFC 5280 §4.2.1.12).
func EmailProtection() x509.OID { return publicOID(oidEmailProtection) }

// AnyPolicy is the special policy of RFC 5280 §4.2.1.4.
func AnyPolicy() x509.OID { return publicOID(oidAnyPolicy) }

func publicOID(content string) (oid x509.OID) {
	// What was read with readOID is well formed; anything else stays empty.
	if err := oid.UnmarshalBinary([]byte(content)); err != nil {
		return x509.OID{}
	}
	return oid
}

// privateOID is "" for the zero OID.
func privateOID(oid x509.OID) string {
	b, err := oid.MarshalBinary()
	if err != nil {
		return ""
	}
	return string(b)
}

func readOID(s *cryptobyte.String, out *string) bool {
	var b cryptobyte.String
	var oid x509.OID
	if !s.ReadASN1(&b, cbasn1.OBJECT_IDENTIFIER) || oid.UnmarshalBinary(b) != nil {
		return false
	}
	*out = string(b)
	return true
}
