package daemon

import "bridge.example/internal/notice"

// Board lets tests send the digest at another time than its own.
func (d *Daemon) Board() *notice.Board { return d.board }
