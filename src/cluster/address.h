// Network addresses of this machine.
#pragma once

#include <string>

namespace sluice::cluster {

std::string host_name();

// The address (numeric) of the interface `name`, IPv4 if it has one. kUsage, listing the interfaces
// of this machine, if there is none.
std::string address_of_interface(const std::string& name);

// The address of this machine from which it reaches `host`: loopback if that is this machine under
// a loopback address. kUsage if the name cannot be resolved or reached.
std::string address_towards(const std::string& host);

// The address (numeric) of `host` if that is this machine, otherwise empty. kUsage if the name
// cannot be resolved.
std::string own_address(const std::string& host);

// A listening socket at `address` only. The caller owns the descriptor. kUsage if the port is in
// use.
int listen_at(const std::string& address, int port);
// The port that a listening socket got with `port` 0.
int port_of(int listening);

// Connects to a listening socket of a machine, by name or address, repeatedly for up to
// `timeout_s`. The caller owns the descriptor. kPeerLost if nothing answers.
int connect_to(const std::string& host, int port, double timeout_s);
// The numeric address to which a socket is connected.
std::string address_of_peer(int connected);

}  // namespace sluice::cluster
