// Puts the key of a form that makes something new into the address of its page. On the way back to it, browsers load the
// page again: with the key, it leads to what was made, and without it, it would be made once more.

addEventListener("DOMContentLoaded", () => {
  for (const { value } of document.querySelectorAll("input[name=form_key]")) {
    const address = new URL(location.href);
    address.searchParams.set("form_key", value);
    history.replaceState(history.state, "", address);
  }
});
