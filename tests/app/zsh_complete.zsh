# Completes command lines in an interactive zsh and prints each result as a line.
#
#   zsh -f zsh_complete.zsh SCRIPT LINE...
#
# SCRIPT: the completion script.
zmodload zsh/zpty
script=$1
shift
zpty shell zsh -f -i
zpty -w shell 'unsetopt zle_bracketed_paste; unset zle_bracketed_paste; PS1= PS2= RPS1='
zpty -w shell "autoload -U compinit && compinit -u -D && source ${(q)script}"
zpty -w shell 'show() { zle expand-or-complete; print -r -- "<line>$BUFFER</line>"; BUFFER=; }'
zpty -w shell 'zle -N show; bindkey "^I" show; unsetopt list_beep auto_list; print READ""Y'
zpty -r -m shell out '*READY*' || exit 1
for line; do
  zpty -w -n shell $line$'\t'
  zpty -r -m shell out '*</line>*' || exit 1
  out=${out##*<line>}
  print -r -- "${out%%</line>*}"
done
zpty -d shell
