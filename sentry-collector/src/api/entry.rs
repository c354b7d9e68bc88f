//! An entry of the API: a path, its handler with the right that it needs, and its description in
//! the OpenAPI document. One value holds all of these, so that none can be forgotten.

use axum::{
    handler::Handler,
    routing::{MethodFilter, MethodRouter, on},
};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Content, HttpMethod, ObjectBuilder, Ref, RefOr, Required, ResponseBuilder, Schema,
        path::{Operation, OperationBuilder, ParameterBuilder, ParameterIn},
        request_body::RequestBodyBuilder,
        security::SecurityRequirement,
    },
};

use super::{
    answer::{PROBLEM, Problem},
    listing::Listing,
    right::{Claims, Right as _},
    state::Api,
};
use crate::access::scope::Need;

/// Names of what opens the API, in the OpenAPI document.
pub(crate) const KEY: &str = "key";
pub(crate) const COOKIE: &str = "session";
const JSON: &str = "application/json";

/// The groups of requests. Each group has a limit of its own, so that none delays another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Listings,
    Finds,
    Commands,
    /// Small answers, given even while the API is at its limits.
    Unlimited,
}

/// Schemas under their names.
pub(crate) type Schemas = Vec<(String, RefOr<Schema>)>;

pub(crate) struct Entry {
    pub(crate) path: String,
    pub(crate) group: Group,
    pub(crate) handler: MethodRouter<Api>,
    pub(crate) method: HttpMethod,
    pub(crate) operation: Operation,
    pub(crate) schemas: Schemas,
}

// === impl Entry ===

impl Entry {
    /// A GET. `id` names the operation; `about` is a sentence.
    pub(crate) fn get<H, T>(path: &str, group: Group, id: &str, about: &str, handler: H) -> Self
    where
        H: Handler<T, Api>,
        T: Claims + 'static,
    {
        Self::new(path, group, (HttpMethod::Get, MethodFilter::GET), id, about, handler)
    }

    /// A POST.
    pub(crate) fn post<H, T>(path: &str, group: Group, id: &str, about: &str, handler: H) -> Self
    where
        H: Handler<T, Api>,
        T: Claims + 'static,
    {
        Self::new(path, group, (HttpMethod::Post, MethodFilter::POST), id, about, handler)
    }

    /// A DELETE.
    pub(crate) fn delete<H, T>(path: &str, group: Group, id: &str, about: &str, handler: H) -> Self
    where
        H: Handler<T, Api>,
        T: Claims + 'static,
    {
        Self::new(path, group, (HttpMethod::Delete, MethodFilter::DELETE), id, about, handler)
    }

    /// A GET of a listing of `V`s, which its handler makes by [`Listing::answer`].
    pub(crate) fn listing<V, H, T>(listing: &'static Listing, handler: H) -> Self
    where
        V: ToSchema,
        H: Handler<T, Api>,
        T: Claims + 'static,
    {
        let path = format!("/api/v1/{}", listing.name);
        let mut entry = Self::get(&path, Group::Listings, listing.name, listing.about, handler);
        for (name, about, schema) in listing.parameters() {
            entry = entry.parameter(name, ParameterIn::Query, about, schema);
        }
        let page = listing.page(reference::<V>());
        entry.schemas::<V>().response("200", "A page.", JSON, page)
    }

    fn new<H, T>(
        path: &str,
        group: Group,
        (method, filter): (HttpMethod, MethodFilter),
        id: &str,
        about: &str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, Api>,
        T: Claims + 'static,
    {
        let need = T::Right::NEED;
        let mut operation = OperationBuilder::new().operation_id(Some(id)).summary(Some(about));
        for requirement in security(need) {
            operation = operation.security(requirement);
        }
        let entry = Self {
            path: path.to_owned(),
            group,
            handler: on(filter, handler),
            method,
            operation: operation.build(),
            schemas: Schemas::new(),
        };
        let refusals: &[(&str, &str)] = match need {
            Need::Nothing => &[],
            Need::Near | Need::Own | Need::Read | Need::Act | Need::Admin => &[
                ("401", "There is no key, or a wrong one."),
                ("403", "The key lacks the right, or a web page of another origin asks."),
            ],
        };
        let always = [
            ("429", "The address is locked, or asks too often; `Retry-After` says how long to wait."),
            ("default", "What went wrong."),
        ];
        let mut entry = entry.schemas::<Problem>();
        for (status, about) in refusals.iter().copied().chain(always) {
            entry = entry.response(status, about, PROBLEM, reference::<Problem>());
        }
        entry
    }

    /// Describes the parameter `{name}` of the path.
    pub(crate) fn path_parameter(self, name: &str, about: &str) -> Self {
        self.parameter(name, ParameterIn::Path, about, String::schema())
    }

    /// Describes a header of the request.
    pub(crate) fn header_parameter(self, name: &str, about: &str) -> Self {
        self.parameter(name, ParameterIn::Header, about, String::schema())
    }

    /// Describes the JSON of the request.
    pub(crate) fn takes<B: ToSchema>(mut self) -> Self {
        let body = RequestBodyBuilder::new()
            .content(JSON, Content::new(Some(reference::<B>())))
            .required(Some(Required::True));
        self.operation.request_body = Some(body.build());
        self.schemas::<B>()
    }

    /// Describes an answer in JSON.
    pub(crate) fn answers<V: ToSchema>(self, status: &str, about: &str) -> Self {
        self.schemas::<V>().response(status, about, JSON, reference::<V>())
    }

    /// Describes an answer in text of this media type.
    pub(crate) fn answers_text(self, status: &str, about: &str, media_type: &str) -> Self {
        self.response(status, about, media_type, String::schema())
    }

    /// Describes an answer without a body.
    pub(crate) fn answers_nothing(mut self, status: &str, about: &str) -> Self {
        let response = ResponseBuilder::new().description(about).build();
        self.operation.responses.responses.insert(status.to_owned(), response.into());
        self
    }

    /// Refers to an answer in JSON that is described elsewhere.
    pub(crate) fn answers_object(self, status: &str, about: &str) -> Self {
        self.response(status, about, JSON, ObjectBuilder::new().into())
    }

    fn response(mut self, status: &str, about: &str, media_type: &str, schema: RefOr<Schema>) -> Self {
        let content = Content::new(Some(schema));
        let response = ResponseBuilder::new().description(about).content(media_type, content);
        self.operation.responses.responses.insert(status.to_owned(), response.build().into());
        self
    }

    fn parameter(mut self, name: &str, place: ParameterIn, about: &str, schema: RefOr<Schema>) -> Self {
        let required = if place == ParameterIn::Path { Required::True } else { Required::False };
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(place)
            .required(required)
            .description(Some(about))
            .schema(Some(schema));
        self.operation.parameters.get_or_insert_default().push(parameter.build());
        self
    }

    fn schemas<V: ToSchema>(mut self) -> Self {
        self.schemas.push((V::name().into_owned(), V::schema()));
        V::schemas(&mut self.schemas);
        self
    }
}

/// What opens an entry: the names are alternatives, and the scopes of each are, too.
fn security(need: Need) -> Vec<SecurityRequirement> {
    let needed = [KEY, COOKIE].map(|name| SecurityRequirement::new(name, need.scopes().iter().copied()));
    match need {
        Need::Nothing => Vec::new(),
        Need::Near => [SecurityRequirement::default()].into_iter().chain(needed).collect(),
        Need::Own | Need::Read | Need::Act | Need::Admin => needed.to_vec(),
    }
}

fn reference<V: ToSchema>() -> RefOr<Schema> {
    Ref::from_schema_name(V::name()).into()
}
