package ldap

import "fmt"

// UpdateOp names an operation that the bridge neither performs nor passes on;
// its number is the tag of the request (RFC 4511 §4.6 to §4.10).
type UpdateOp uint8

// The operations whose content stays undecoded. Compare changes nothing, but
// it is refused like the rest.
const (
	Modify   UpdateOp = 0x66
	Add      UpdateOp = 0x68
	Delete   UpdateOp = 0x4a // a bare DN, hence primitive
	ModifyDN UpdateOp = 0x6c
	Compare  UpdateOp = 0x6e
)

// String returns the name in RFC 4511.
func (o UpdateOp) String() string {
	switch o {
	case Modify:
		return "modify"
	case Add:
		return "add"
	case Delete:
		return "delete"
	case ModifyDN:
		return "modifyDN"
	case Compare:
		return "compare"
	}
	return fmt.Sprintf("operation %#02x", uint8(o))
}

// responseTag is the request's number plus one, always constructed.
func (o UpdateOp) responseTag() byte { return byte(o)&0x1f + 1 | 0x60 }

func updateOpOf(responseTag byte) UpdateOp {
	if responseTag == Delete.responseTag() {
		return Delete
	}
	return UpdateOp(responseTag - 1)
}

// UpdateRequest is a request of one of these operations, its content undecoded.
type UpdateRequest struct {
	Op   UpdateOp
	Body []byte
}

// UpdateResponse is the answer to one.
type UpdateResponse struct {
	Op UpdateOp
	Result
}

func (m UpdateRequest) appendTo(e *encoder) { e.bytes(byte(m.Op), m.Body) }

func (m UpdateResponse) appendTo(e *encoder) {
	op := e.open(m.Op.responseTag())
	e.result(m.Result)
	e.close(op)
}
