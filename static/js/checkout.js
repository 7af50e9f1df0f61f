// Comfort only: every page works without this file. No library, no inline handlers (strict CSP).
(() => {
  "use strict";

  const BRANDS = [
    ["visa", /^4/],
    ["mastercard", /^(5[1-5]|2[2-7])/],
    ["amex", /^3[47]/],
    ["discover", /^(6011|65|64[4-9])/],
  ];
  const COPIED_MS = 1600;

  document.documentElement.classList.add("scripted");

  const digits = (text) => text.replace(/\D/g, "");
  const brandOf = (number) => (BRANDS.find(([, pattern]) => pattern.test(number)) || [""])[0];

  function grouped(number) {
    const groups = brandOf(number) === "amex" ? /^(\d{0,4})(\d{0,6})(\d{0,5})$/ : /^(\d{0,4})(\d{0,4})(\d{0,4})(\d{0,7})$/;
    const parts = number.match(groups);
    return parts ? parts.slice(1).filter(Boolean).join(" ") : number;
  }

  function expiry(text) {
    let number = digits(text).slice(0, 4);
    if (/^[2-9]/.test(number)) number = ("0" + number).slice(0, 4);
    return number.length > 2 ? number.slice(0, 2) + " / " + number.slice(2) : number;
  }

  // Rewrites a field while it is typed in and keeps the caret behind the same digit.
  function reformat(input, format) {
    const before = digits(input.value.slice(0, input.selectionStart)).length;
    const text = format(input.value);
    if (text === input.value) return;
    const atEnd = input.selectionStart === input.value.length;
    input.value = text;
    let caret = 0;
    for (let seen = 0; caret < text.length && seen < before; caret += 1) if (/\d/.test(text[caret])) seen += 1;
    if (atEnd) caret = text.length;
    input.setSelectionRange(caret, caret);
  }

  function markBrand(input) {
    const marks = input.parentElement.querySelector(".marks");
    const brand = brandOf(digits(input.value));
    marks.toggleAttribute("data-brand", Boolean(brand));
    for (const plate of marks.children) plate.classList.toggle("is-brand", plate.dataset.brand === brand);
  }

  document.addEventListener("input", (event) => {
    const input = event.target;
    if (input.name === "card_number") {
      reformat(input, (text) => grouped(digits(text).slice(0, 19)));
      markBrand(input);
    }
    if (input.name === "card_expiry" && event.inputType !== "deleteContentBackward") reformat(input, expiry);
  });

  function useTestCard(number) {
    const form = document.querySelector(".pay-form");
    const values = { card_number: grouped(number), card_expiry: form.dataset.testExpiry, card_cvc: "123" };
    if (brandOf(number) === "amex") values.card_cvc = "1234";
    form.querySelector("input[data-card]").checked = true;
    for (const [name, value] of Object.entries(values)) form.elements[name].value = value;
    markBrand(form.elements.card_number);
    form.elements.card_number.focus();
  }

  async function copy(button) {
    const source = button.dataset.copyFrom;
    await navigator.clipboard.writeText(source ? document.getElementById(source).textContent : button.dataset.copy);
    const label = button.querySelector("[data-label]");
    const text = label.textContent;
    label.textContent = button.dataset.copied;
    setTimeout(() => { label.textContent = text; }, COPIED_MS);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.testCard) useTestCard(button.dataset.testCard);
    if (button.dataset.copied) copy(button);
    if ("print" in button.dataset) window.print();
  });

  // The server ignores a second submission anyway; the payer sees that the first one counts.
  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!button || !button.dataset.busy) return;
    if (button.getAttribute("aria-disabled") === "true") { event.preventDefault(); return; }
    button.setAttribute("aria-disabled", "true");
    button.textContent = button.dataset.busy;
  });

  // Coming back with the browser's back button shows a page from memory: ask for a fresh one.
  window.addEventListener("pageshow", (event) => { if (event.persisted) window.location.reload(); });
})();
