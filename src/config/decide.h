// Resolution of fields set to `auto` or a similar word (WordOr).
#pragma once

namespace sluice::config {

// Keeps an explicit value; else takes `stored` if it holds a value; else computes one.
template <class Field, class Compute>
void decide(Field& field, const Field* stored, const Compute& compute) {
  if (!field.is_word()) return;
  field = stored != nullptr && !stored->is_word() ? *stored : Field(compute());
}

// Address of a member, or nullptr if the struct itself is absent.
template <class Struct, class Member>
const Member* member_of(const Struct* object, Member Struct::*member) {
  return object != nullptr ? &(object->*member) : nullptr;
}

}  // namespace sluice::config
