// Blueprints for stack_node.js, and the tasks that the control plane makes of one.
"use strict";

const kebab = (name) => name.replace(/([a-z0-9])([A-Z])/g, "$1-$2").toLowerCase();
const field = (name, type, more = {}) => ({ name, type, required: false, ...more });
const entity = (name, plural, fields) => ({ name, slug: kebab(name), plural, fields });
const useCase = (name, entityName, effect, more = {}) => ({ name, slug: kebab(name), entity: entityName, effect, ...more });
const JWT = { strategy: "JWT", provider: null, algorithm: "HS256" };

const everyField = [
  field("title", "string", { required: true, min: 2, max: 40 }),
  field("note", "string"),
  field("count", "integer", { min: 0, max: 10, default: 0 }),
  field("level", "integer", { required: true, default: 3 }),
  field("price", "number", { min: 0.5, max: 99.5 }),
  field("done", "boolean", { default: false }),
  field("dueDate", "date"),
  field("contact", "email"),
  field("state", "enum", { values: ["open", "in progress", "closed"], default: "open" }),
  field("label", "reference", { entity: "Label" }),
  field("owner", "reference", { entity: "Person" }),
];

const everyUseCase = [
  useCase("CreateItem", "Item", "create"),
  useCase("GetItem", "Item", "read"),
  useCase("ListItems", "Item", "list"),
  useCase("UpdateItem", "Item", "update"),
  useCase("DeleteItem", "Item", "delete"),
  useCase("MarkItemAsDone", "Item", "set", { action: "mark-as-done", set: { done: true } }),
  useCase("CloseItem", "Item", "set", { action: "close", set: { state: "closed", count: 7 } }),
  useCase("AssignItemLabel", "Item", "assign", { action: "assign-label", fields: ["label", "title"] }),
  useCase("CountItem", "Item", "increment", { action: "count", field: "count", by: 2 }),
  useCase("CreateLabel", "Label", "create"),
  useCase("ListLabels", "Label", "list"),
  useCase("ListPeople", "Person", "list"),
];

const everything = (slug, storage, auth, more = {}) => ({
  name: slug,
  slug,
  storage,
  auth,
  services: [
    {
      name: "ItemService",
      slug: "item",
      domain: "Items",
      entities: [
        entity("Item", "items", everyField),
        entity("Label", "labels", [field("text", "string", { required: true })]),
        entity("Person", "people", [field("name", "string", { required: true })]),
      ],
      use_cases: everyUseCase,
    },
  ],
  ...more,
});

const notification = {
  name: "Notification",
  slug: "notification",
  storage: "MongoDB",
  auth: JWT,
  services: [
    {
      name: "NotificationService",
      slug: "notification",
      domain: "Notifications",
      entities: [
        entity("Notification", "notifications", [
          field("recipient", "string", { required: true, min: 1, max: 200 }),
          field("priority", "enum", { values: ["low", "normal", "high"], default: "normal" }),
          field("dueDate", "date"),
          field("read", "boolean", { default: false }),
        ]),
      ],
      use_cases: [
        useCase("SendNotification", "Notification", "create"),
        useCase("GetNotification", "Notification", "read"),
        useCase("ListNotifications", "Notification", "list"),
        useCase("MarkNotificationAsRead", "Notification", "set", { action: "mark-as-read", set: { read: true } }),
      ],
    },
  ],
};

/** Two services; required references, which need a record of the other entity first; no fields at all. */
const shop = {
  name: "Corner Shop",
  slug: "corner-shop",
  storage: "File",
  auth: { ...JWT, algorithm: "ES256" },
  services: [
    {
      name: "OrderService",
      slug: "order",
      domain: "Orders",
      entities: [
        entity("Customer", "customers", [field("email", "email", { required: true })]),
        entity("Order", "orders", [
          field("customer", "reference", { entity: "Customer", required: true }),
          field("paidOn", "date", { required: true }),
          field("amount", "integer", { required: true, min: 1 }),
        ]),
      ],
      use_cases: [
        useCase("RegisterCustomer", "Customer", "create"),
        useCase("PlaceOrder", "Order", "create"),
        useCase("ReadOrder", "Order", "read"),
        useCase("ChangeOrder", "Order", "update"),
        useCase("CancelOrder", "Order", "delete"),
      ],
    },
    {
      name: "VisitService",
      slug: "visit",
      domain: "Visits",
      entities: [entity("Visit", "visits", [])],
      use_cases: [useCase("RecordVisit", "Visit", "create"), useCase("ListVisits", "Visit", "list")],
    },
  ],
};

/** Nothing is ever made here; one use case alone. */
const board = {
  name: "Board",
  slug: "board",
  storage: "File",
  auth: JWT,
  services: [
    {
      name: "BoardService",
      slug: "board",
      domain: 'Boards & "more"',
      entities: [entity("Board", "boards", [field("title", "string", { required: true }), field("open", "boolean")])],
      use_cases: [useCase("RenameBoard", "Board", "assign", { action: "rename", fields: ["title"] })],
    },
  ],
};

const memory = {
  name: "Counter",
  slug: "counter",
  storage: "Memory",
  auth: false,
  services: [
    {
      name: "CounterService",
      slug: "counter",
      domain: "Counters",
      entities: [entity("Counter", "counters", [field("value", "integer", { default: 0 })])],
      use_cases: [
        useCase("CreateCounter", "Counter", "create"),
        useCase("BumpCounter", "Counter", "increment", { action: "bump", field: "value", by: 1 }),
      ],
    },
  ],
};

exports.blueprints = [
  notification,
  everything("every-mongo-jwt", "MongoDB", JWT),
  everything("every-file-open", "File", false, { killTest: true }),
  shop,
  board,
  memory,
];

const METHODS = { create: "POST", list: "GET", read: "GET", update: "PATCH", delete: "DELETE" };

function withRequest(useCase, entities) {
  const { plural } = entities.find(({ name }) => name === useCase.entity);
  const isCollection = useCase.effect === "create" || useCase.effect === "list";
  const path = `/${plural}${isCollection ? "" : "/{id}"}${useCase.action ? `/${useCase.action}` : ""}`;
  return { ...useCase, handler: `${useCase.name}Handler`, method: METHODS[useCase.effect] ?? "POST", path };
}

function serviceOf(blueprint, service) {
  const has = (entity, effect) =>
    service.use_cases.some((useCase) => useCase.entity === entity.name && useCase.effect === effect);
  const entities = service.entities.map((entity) => ({
    ...entity,
    has_create: has(entity, "create"),
    has_read: has(entity, "read"),
    has_list: has(entity, "list"),
    repository: `I${entity.name}Repository`,
  }));
  return {
    serviceName: service.name,
    slug: service.slug,
    domain: service.domain,
    useCases: service.use_cases.map(({ name }) => name),
    storage: blueprint.storage,
    auth: blueprint.auth ? "JWT" : false,
    jwt: blueprint.auth ? { algorithm: blueprint.auth.algorithm } : null,
    features: [],
    entities,
    use_cases: service.use_cases.map((useCase) => withRequest(useCase, entities)),
    ports: entities.map(({ name, slug, repository }) => ({ name: repository, entity: name, slug })),
  };
}

exports.tasksOf = (blueprint) => {
  const stack = "node";
  const services = blueprint.services.map((service) => serviceOf(blueprint, service));
  const tasks = [];
  const add = (taskType, payload) => tasks.push({ taskType, payload: { ...payload, stack }, context: {} });
  for (const service of services) {
    const { serviceName, slug, storage, auth, entities } = service;
    const identity = { service: serviceName, serviceName };
    add("ScaffoldService", { service: serviceName, ...service });
    for (const useCase of service.use_cases) {
      const entity = entities.find(({ name }) => name === useCase.entity);
      add("GenerateHandler", { ...identity, handler: useCase.handler, useCase: useCase.name, use_case: useCase, entity, entities, slug, storage, auth });
    }
    for (const port of service.ports) {
      const entity = entities.find(({ name }) => name === port.entity);
      add("GenerateAdapter", { ...identity, adapter: port.name, interface: port.name, storage, port, entity, slug });
    }
    add("GenerateTests", { service: serviceName, ...service });
  }
  if (blueprint.auth) add("ConfigureJWTAuth", { strategy: "JWT", algorithm: blueprint.auth.algorithm, services });
  add("GenerateAppConfig", {
    blueprint_id: "blueprint-0123456789ab",
    name: blueprint.name,
    slug: blueprint.slug,
    services,
    frontend: { spa: false, mobile: false },
    gateway: { enabled: false },
    auth: blueprint.auth ? "JWT" : false,
    storage: blueprint.storage,
    features: [],
  });
  return tasks;
};
