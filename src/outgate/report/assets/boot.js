// Before anything is laid out: the page will be an application. If that fails, it is a document again.
const root = document.documentElement;
root.classList.add("js");
root.dataset.view = "graph";
// The browser would go where the address leads when the page is parsed, and take the focus away from where the script
// has put it. The script goes there itself, and gives the address back.
const wanted = location.hash;
root.dataset.wanted = wanted;
const rename = (address) => {
  try {
    history.replaceState(null, "", address);
  } catch {
    // A page in a frame may not change its address. Then it keeps it.
  }
};
if (wanted) rename(location.href.split("#")[0]);
window.addEventListener("load", () => {
  if (wanted && !location.hash) rename(wanted);
});
window.addEventListener("error", () => {
  if ("ready" in root.dataset) return;
  root.classList.remove("js");
  for (const view of document.querySelectorAll(".view")) view.hidden = false;
});
