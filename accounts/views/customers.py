"""A merchant's customers."""

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import services
from accounts.access import AccessView
from accounts.models import EMAIL_LENGTH, Customer, normalize_email
from accounts.schema import LIST_ERRORS, PAGING, described
from accounts.serializers.merchants import CustomerDetails, CustomerRequest, NewCustomerRequest
from core.api import answer, answer_page, created, paginate, read_body, refuse_parameters_but
from core.errors import ParameterInvalid
from core.idempotency import take_key

TAG = "Customers"
EMAIL = OpenApiParameter("email", str, description="Whose address is exactly this")


class CustomersView(AccessView):
    """The customers."""

    noun, plural = "customer", "customers"
    needs = {"GET": "customers:read", "POST": "customers:write"}

    @described(
        "listCustomers",
        "The customers",
        CustomerDetails(many=True),
        tag=TAG,
        parameters=[EMAIL, *PAGING],
        errors=LIST_ERRORS,
    )
    def get(self, request: Request) -> Response:
        refuse_parameters_but(request, "email", "cursor", "page_size")
        page = paginate(request, self.rows(request.query_params.get("email")))
        return answer_page(self.plural, page, CustomerDetails(page.rows, many=True).data, "The merchant's customers.")

    def rows(self, email: str | None) -> QuerySet[Customer]:
        rows = Customer.objects.filter(merchant=self.merchant)
        if email is None:
            return rows
        if not email.isascii() or not email.isprintable() or len(email) > EMAIL_LENGTH:
            raise ParameterInvalid("This is no email address.", param="email")
        return rows.filter(email=normalize_email(email))

    @described(
        "createCustomer",
        "Add a customer",
        CustomerDetails,
        status=201,
        tag=TAG,
        body=NewCustomerRequest,
        keyed=True,
        errors=(services.CustomerExists,),
        description="Not needed for payments: a payment makes its customer, or finds it by the email.",
    )
    def post(self, request: Request) -> Response:
        fields = read_body(NewCustomerRequest, request)
        key = take_key(request, fields)
        customer, replayed = services.create_customer(self.merchant, key=key, **fields)
        return created(self.noun, CustomerDetails(customer).data, "Customer added.", replayed=replayed)


class CustomerView(AccessView):
    """One customer."""

    noun = "customer"
    needs = {"GET": "customers:read", "PATCH": "customers:write", "DELETE": "customers:write"}

    def find(self, customer_id: str) -> Customer:
        return get_object_or_404(Customer.objects.select_related("merchant"), merchant=self.merchant, pk=customer_id)

    @described("getCustomer", "One customer", CustomerDetails, tag=TAG)
    def get(self, request: Request, customer_id: str) -> Response:
        return answer(self.noun, CustomerDetails(self.find(customer_id)).data, "One customer.")

    @described(
        "changeCustomer",
        "Change a customer",
        CustomerDetails,
        tag=TAG,
        body=CustomerRequest,
        errors=(services.CustomerExists,),
        description="Only what is sent changes. Payments keep what they were made with.",
    )
    def patch(self, request: Request, customer_id: str) -> Response:
        changes = read_body(CustomerRequest, request, partial=True)
        customer = services.change_customer(self.find(customer_id), **changes)
        return answer(self.noun, CustomerDetails(customer).data, "Customer changed.")

    @described(
        "deleteCustomer",
        "Delete a customer",
        CustomerDetails,
        tag=TAG,
        errors=(services.CustomerInUse,),
        description="Only one without payments.",
    )
    def delete(self, request: Request, customer_id: str) -> Response:
        customer = self.find(customer_id)
        gone = CustomerDetails(customer).data
        services.delete_customer(customer)
        return answer(self.noun, gone, "Customer deleted.")
