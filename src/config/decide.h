// How a field that says `auto`, or another word, gets its value.
#pragma once

namespace sluice::config {

// As given; else as `stored`, where that is a value; else as computed.
template <class Field, class Compute>
void decide(Field& field, const Field* stored, const Compute& compute) {
  if (!field.is_word()) return;
  field = stored != nullptr && !stored->is_word() ? *stored : Field(compute());
}

// The member of a struct that may not be there.
template <class Struct, class Member>
const Member* member_of(const Struct* object, Member Struct::*member) {
  return object != nullptr ? &(object->*member) : nullptr;
}

}  // namespace sluice::config
