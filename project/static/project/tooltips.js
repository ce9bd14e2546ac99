/** What is cut off with an ellipsis can be read in full under the pointer. */

const CUT = "#rooms .title, #room-title, #people bdi, #people small, #my-name, #second-window a, .author, #typing";

export function startTooltips() {
  document.addEventListener("pointerover", ({ target }) => {
    const text = target.closest(CUT);
    if (text) text.title = text.scrollWidth > text.clientWidth ? text.textContent : "";
  });
}
