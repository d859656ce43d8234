#include "app/path_option.h"

#include <string>

#include "base/error.h"
#include "base/home.h"

namespace sluice::app {

CLI::Validator home_path() {
  return {[](std::string& word) {
            try {
              word = expand_home("path", word);
              return std::string();
            } catch (const UserError& error) {
              return std::string(error.what());
            }
          },
          ""};
}

}  // namespace sluice::app
