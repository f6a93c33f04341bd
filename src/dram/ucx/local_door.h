// How a connection between processes of one host comes to a link over shared memory: the server's
// welcome at the door names a Unix socket, at which client and server greet each other
// (src/dram/shm/greeting.h). Whatever goes wrong there leaves the way over UCX open: other users,
// other namespaces, a kernel that forbids reading each other's memory.
//
// Thread safety: none; lives on the engine. Callbacks run there, never inside a call of the user.
#ifndef CAIRN_SRC_DRAM_UCX_LOCAL_DOOR_H_
#define CAIRN_SRC_DRAM_UCX_LOCAL_DOOR_H_

#include <absl/container/flat_hash_map.h>

#include <functional>
#include <memory>
#include <string>

#include "src/dram/ucx/core.h"

namespace cairn::dram::ucx {

// The server's side.
class LocalListener {
 public:
  // `user` is the link's until `attach` gives it another; `attach` takes a client that showed a
  // token, or hears why its link can't be, when the client can't be told any more.
  using Attach =
      std::function<void(const std::string& token, const Result<std::shared_ptr<Link>>& link)>;
  static Result<std::unique_ptr<LocalListener>> Create(Core* core, LinkUser* user, Attach attach);
  ~LocalListener();
  LocalListener(const LocalListener&) = delete;
  LocalListener& operator=(const LocalListener&) = delete;

  // Of its socket in the abstract namespace; random.
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  struct Guest;
  LocalListener(Core* core, LinkUser* user, Attach attach, std::string name, int fd);
  Status Open();
  void OnKnock();
  void OnGuest(int fd);
  // False: the guest is to be sent away.
  bool Greet(Guest* guest);
  void Forget(int fd);

  Core* const core_;
  LinkUser* const user_;
  const Attach attach_;
  const std::string name_;
  const int fd_;
  absl::flat_hash_map<int, std::unique_ptr<Guest>> guests_;
};

// The client's side: one attempt.
class LocalDialer : public std::enable_shared_from_this<LocalDialer> {
 public:
  // A link, or why it can't be.
  using Done = std::function<void(Result<std::shared_ptr<Link>> link)>;
  // kUnavailable if it can't even be begun; `done` does not run then.
  static Result<std::shared_ptr<LocalDialer>> Dial(Core* core, const std::string& name,
                                                   const std::string& token, LinkUser* user,
                                                   Done done);
  LocalDialer(Core* core, int fd, LinkUser* user, Done done);
  // `done` does not run any more.
  ~LocalDialer();
  LocalDialer(const LocalDialer&) = delete;
  LocalDialer& operator=(const LocalDialer&) = delete;

 private:
  Status Offer(const std::string& token);
  void OnAnswer();
  // Reads the server's greeting and its memory.
  Result<std::unique_ptr<shm::PeerProcess>> Meet();
  Result<std::shared_ptr<Link>> Confirm();
  void Finish(Result<std::shared_ptr<Link>> link);

  Core* const core_;
  const int fd_;
  LinkUser* const user_;
  Done done_;
  ShmParts parts_;
  Engine::TimerId timer_;
};

}  // namespace cairn::dram::ucx

#endif  // CAIRN_SRC_DRAM_UCX_LOCAL_DOOR_H_
