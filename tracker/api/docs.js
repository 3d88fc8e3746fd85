"use strict";

const WORDS = {
  en: { find: "Find", other: "中文", parameters: "Parameters", body: "Body", answers: "Answers", scope: "scope", problems: "Problems", schemas: "Types", webhooks: "Webhooks: what subscribers are sent", required: "required", failed: "The document could not be loaded." },
  zh: { find: "查找", other: "English", parameters: "参数", body: "请求体", answers: "响应", scope: "权限", problems: "错误", schemas: "类型", webhooks: "推送：订阅者收到的消息", required: "必填", failed: "无法加载文档。" },
};
const TAGS = { "accounts and keys": "账户与密钥", carriers: "承运商", connections: "承运商连接", shipments: "运单", changes: "变更流", subscriptions: "订阅与投递", quarantine: "隔离区", orders: "订单" };
const METHODS = ["get", "post", "put", "patch", "delete"];

let language = (localStorage.getItem("language") || navigator.language).startsWith("zh") ? "zh" : "en";
let spec = null;

const word = (name) => WORDS[language][name];
const heading = (tag) => (language === "zh" && TAGS[tag]) || tag;
const refName = (ref) => ref.split("/").pop();

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

/* Prose with `code` in it. */
function prose(text) {
  return text.split("\n\n").filter(Boolean).map((part) =>
    element("p", {}, ...part.split(/`([^`]*)`/).map((piece, place) => (place % 2 ? element("code", {}, piece) : piece))));
}

function typeOf(schema) {
  if (!schema || !Object.keys(schema).length) return ["any"];
  if (schema.$ref) return [element("a", { href: `#type-${refName(schema.$ref)}` }, refName(schema.$ref))];
  const choices = schema.anyOf || schema.oneOf;
  if (choices) return choices.flatMap((choice, place) => [place ? " | " : "", ...typeOf(choice)]);
  if (schema.enum) return [schema.enum.map((value) => JSON.stringify(value)).join(" | ")];
  if ("const" in schema) return [JSON.stringify(schema.const)];
  if (schema.type === "array") return ["[", ...typeOf(schema.items), "]"];
  if (schema.type === "object" && schema.additionalProperties) return ["{string: ", ...typeOf(schema.additionalProperties), "}"];
  return [schema.type || "any"];
}

function bounds(schema) {
  const named = { minimum: "≥ ", maximum: "≤ ", minLength: "length ≥ ", maxLength: "length ≤ ", minItems: "items ≥ ", maxItems: "items ≤ ", pattern: "" };
  return Object.entries(named).filter(([key]) => key in schema).map(([key, sign]) => sign + schema[key]).join(", ");
}

function row(name, schema, required, about) {
  const notes = [required ? word("required") : "", bounds(schema), "default" in schema && schema.default !== null ? `= ${JSON.stringify(schema.default)}` : "", about || ""];
  return element("tr", {}, element("td", {}, element("code", {}, name)), element("td", {}, element("code", {}, ...typeOf(schema))), element("td", {}, notes.filter(Boolean).join("; ")));
}

function parameters(operation) {
  if (!operation.parameters) return [];
  const rows = operation.parameters.map((one) => row(one.name, one.schema, one.required, one.description));
  return [element("h4", {}, word("parameters")), element("table", {}, ...rows)];
}

function body(operation) {
  if (!operation.requestBody) return [];
  const schema = operation.requestBody.content["application/json"].schema;
  return [element("h4", {}, word("body")), element("code", {}, ...typeOf(schema))];
}

function answer(status, response) {
  const code = response.$ref && refName(response.$ref);
  const told = code ? element("a", { href: `#problem-${code}` }, code) : response.description;
  const content = response.content && response.content["application/json"];
  return element("tr", {}, element("td", {}, element("code", {}, status)), element("td", {}, told, ...(content ? [" ", element("code", {}, ...typeOf(content.schema))] : [])));
}

function operation(path, method, about) {
  const head = element("h3", {}, element("span", { class: "method" }, method.toUpperCase()), path, element("span", { class: "scope" }, `${word("scope")}: ${about.security[0].key[0]}`));
  const answers = Object.entries(about.responses).map(([status, response]) => answer(status, response));
  return element("article", { id: about.operationId, class: method.toUpperCase() }, head, ...prose(about.summary), ...prose(about.description || ""), ...parameters(about), ...body(about), element("h4", {}, word("answers")), element("table", {}, ...answers));
}

function message(name, about) {
  return element("article", { id: `message-${name}` }, element("h3", {}, name), ...prose(about.summary), ...body(about));
}

function operations() {
  return Object.entries(spec.paths).flatMap(([path, item]) => METHODS.filter((method) => item[method]).map((method) => ({ path, method, about: item[method] })));
}

function problem(response) {
  return element("article", { id: `problem-${response["x-code"]}` }, element("h3", {}, response["x-code"]), ...prose(response.description));
}

function type(name, schema) {
  const required = schema.required || [];
  const rows = Object.entries(schema.properties || {}).map(([field, about]) => row(field, about, required.includes(field), about.description));
  const shape = rows.length ? element("table", {}, ...rows) : element("code", {}, ...typeOf(schema));
  return element("article", { id: `type-${name}` }, element("h3", {}, name), ...prose(schema.description || ""), shape);
}

function section(title, articles, links) {
  document.getElementById("contents").append(element("h2", {}, title), ...links);
  return articles.length ? [element("h2", {}, title), ...articles] : [];
}

function draw() {
  document.documentElement.lang = language;
  document.getElementById("language").textContent = word("other");
  const find = document.getElementById("find");
  find.placeholder = word("find");
  find.setAttribute("aria-label", word("find"));
  const wanted = find.value.toLowerCase();
  const fits = (...texts) => texts.join(" ").toLowerCase().includes(wanted);
  const main = document.getElementById("main");
  document.getElementById("contents").replaceChildren();
  main.replaceChildren(...(wanted ? [] : prose(spec.info.description)));
  for (const { name: tag } of spec.tags) {
    const found = operations().filter(({ path, method, about }) => about.tags.includes(tag) && fits(method, path, about.summary));
    if (!found.length) continue;
    const links = found.map(({ path, method, about }) => element("a", { href: `#${about.operationId}` }, `${method.toUpperCase()} ${path}`));
    main.append(...section(heading(tag), found.map(({ path, method, about }) => operation(path, method, about)), links));
  }
  const messages = Object.entries(spec.webhooks).map(([name, item]) => [name, item.post]).filter(([name, about]) => fits(name, about.summary));
  main.append(...section(word("webhooks"), messages.map(([name, about]) => message(name, about)), messages.map(([name]) => element("a", { href: `#message-${name}` }, name))));
  const problems = Object.values(spec.components.responses).filter((one) => fits(one["x-code"], one.description));
  main.append(...section(word("problems"), problems.map(problem), problems.map((one) => element("a", { href: `#problem-${one["x-code"]}` }, one["x-code"]))));
  const types = Object.entries(spec.components.schemas).filter(([name]) => fits(name));
  main.append(...section(word("schemas"), types.map(([name, schema]) => type(name, schema)), types.map(([name]) => element("a", { href: `#type-${name}` }, name))));
}

async function start() {
  document.getElementById("find").addEventListener("input", draw);
  document.getElementById("language").addEventListener("click", () => {
    language = language === "zh" ? "en" : "zh";
    localStorage.setItem("language", language);
    draw();
  });
  const response = await fetch("/openapi.json");
  spec = await response.json();
  draw();
  if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

start().catch(() => document.getElementById("main").replaceChildren(word("failed")));
