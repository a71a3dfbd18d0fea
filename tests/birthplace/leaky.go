// Calico 3.29.0's leak as it was: findHostMTU opens a route socket, lists the links, forgets it.
// Usage: leaky COUNT
package main

import (
	"os"
	"strconv"
	"syscall"
	"time"
)

var forgotten []int

func findHostMTU() (int, error) {
	socket, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.NETLINK_ROUTE)
	if err != nil {
		return 0, err
	}
	if err := syscall.Bind(socket, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return 0, err
	}
	forgotten = append(forgotten, socket)
	return 1500, nil
}

type dataplane struct{ mtu int }

func (d *dataplane) apply() {
	mtu, err := findHostMTU()
	if err != nil {
		panic(err)
	}
	d.mtu = mtu
}

func main() {
	count, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	d := &dataplane{}
	for i := 0; i < count; i++ {
		d.apply()
	}
	time.Sleep(time.Hour)
}
