#include "app/path_option.h"

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/home.h"

namespace sluice::app {

CLI::Validator home_path() {
  return {[](std::string& word) {
            constexpr std::string_view kSubject = "path";
            try {
              word = expand_home(kSubject, word);
              return std::string();
            } catch (const UserError& error) {  // CLI11 names the option
              return std::string(error.what()).substr(kSubject.size() + 2);
            }
          },
          ""};
}

}  // namespace sluice::app
