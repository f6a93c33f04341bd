// Whether this build runs under AddressSanitizer or ThreadSanitizer, which need more stack and
// time. GCC and Clang say so in different ways.
#ifndef CAIRN_SRC_BASE_SANITIZERS_H_
#define CAIRN_SRC_BASE_SANITIZERS_H_

namespace cairn {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace cairn

#endif  // CAIRN_SRC_BASE_SANITIZERS_H_
