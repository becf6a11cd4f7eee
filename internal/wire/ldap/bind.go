package ldap

// AuthMethod is the choice of authentication in a BindRequest; its number is
// the context tag of RFC 4511 §4.2. Other numbers than those named here occur
// (Windows has methods of its own) and are kept.
type AuthMethod uint8

// The methods of RFC 4511 §4.2.
const (
	Simple AuthMethod = 0
	SASL   AuthMethod = 3
)

// BindRequest is RFC 4511 §4.2.
type BindRequest struct {
	Version int
	Name    string // DN, usually empty
	Method  AuthMethod
	// Mechanism is used with SASL only.
	Mechanism string
	// Credentials holds the password (Simple), the SASL credentials (nil when
	// absent), or the undecoded value of another method.
	Credentials []byte
}

// BindResponse is RFC 4511 §4.2.2.
type BindResponse struct {
	Result
	ServerSASLCreds []byte // nil when absent
}

// UnbindRequest is RFC 4511 §4.3. It has no response.
type UnbindRequest struct{}

const (
	tagSASL            = contextCons | byte(SASL)
	tagServerSASLCreds = contextPrim | 7
)

func (d *decoder) bindRequest(v view) BindRequest {
	m := BindRequest{
		Version: int(v.int(tagInteger, 127)),
		Name:    v.string(tagOctetString),
	}
	tag, auth := v.any()
	switch {
	case tag == tagSASL:
		m.Method = SASL
		m.Mechanism = auth.string(tagOctetString)
		if auth.at(tagOctetString) {
			m.Credentials = auth.bytes(tagOctetString)
		}
	case tag&^0x1f == contextPrim && tag&0x1f != byte(SASL):
		m.Method = AuthMethod(tag &^ contextPrim)
		m.Credentials = auth.rest
	default:
		d.fail("authentication choice %#02x", tag)
	}
	return m
}

func (m BindRequest) appendTo(e *encoder) {
	op := e.open(tagBindRequest)
	e.int(tagInteger, int64(m.Version))
	e.string(tagOctetString, m.Name)
	if m.Method == SASL {
		sasl := e.open(tagSASL)
		e.string(tagOctetString, m.Mechanism)
		if m.Credentials != nil {
			e.bytes(tagOctetString, m.Credentials)
		}
		e.close(sasl)
	} else {
		e.bytes(contextPrim|byte(m.Method&0x1f), m.Credentials)
	}
	e.close(op)
}

func (d *decoder) bindResponse(v view) BindResponse {
	m := BindResponse{Result: d.result(&v)}
	if v.at(tagServerSASLCreds) {
		m.ServerSASLCreds = v.bytes(tagServerSASLCreds)
	}
	return m
}

func (m BindResponse) appendTo(e *encoder) {
	op := e.open(tagBindResponse)
	e.result(m.Result)
	if m.ServerSASLCreds != nil {
		e.bytes(tagServerSASLCreds, m.ServerSASLCreds)
	}
	e.close(op)
}

func (UnbindRequest) appendTo(e *encoder) { e.bytes(tagUnbindRequest, nil) }
